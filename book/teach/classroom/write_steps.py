"""Write the steps of `classroom.yml`: run `python book/teach/classroom/write_steps.py`.

Each exercise has a step that is worth its number of stars, and the last step reports all of them.
What comes before the first of these steps is edited by hand.
"""

from pathlib import Path

from jinja2 import Environment

from induction_heads.course.registry import select

WORKFLOW = Path(__file__).with_name("classroom.yml")
CHECK = "        run: .venv/bin/induction-heads check --json > checked.json || test $? -eq 1\n"
STEPS = """\
[% for chapter, exercise in exercises %]
      - name: [[ chapter ]] [[ exercise.name ]]
        id: [[ exercise.name ]]
        uses: classroom-resources/autograding-command-grader@v1
        with:
          test-name: [[ chapter ]] [[ exercise.name ]]
          command: jq -er '.[].exercises[] | select(.name == "[[ exercise.name ]]") | .message, (.status == "passed")' checked.json
          timeout: 1
          max-score: [[ exercise.difficulty ]]
[% endfor %]
      - name: Report
        uses: classroom-resources/autograding-grading-reporter@v1
        env:
[% for _, exercise in exercises %]
          [[ exercise.name | upper ]]_RESULTS: "${{steps.[[ exercise.name ]].outputs.result}}"
[% endfor %]
        with:
          runners: [[ exercises | map(attribute="1.name") | join(",") ]]
"""  # noqa: E501


def with_steps(workflow: str) -> str:
    """The text of the workflow with a step for each exercise and the report."""
    head = workflow.partition(CHECK)[0]
    environment = Environment(
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    exercises = [(s.stem[:4], exercise) for s in select(None) for exercise in s.exercises]
    return head + CHECK + environment.from_string(STEPS).render(exercises=exercises)


if __name__ == "__main__":
    WORKFLOW.write_text(with_steps(WORKFLOW.read_text(encoding="utf-8")), encoding="utf-8")
