"""What a wrong answer looks like: values, axes, closeness, and the drawing of a difference."""
