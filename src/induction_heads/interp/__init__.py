"""One model in, numbers out: activations, scores, circuits, interventions, the report."""
