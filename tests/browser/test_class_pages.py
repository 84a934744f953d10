"""The summary and the feedback of a class, as a teacher and a student open them from disk."""

import pytest

from induction_heads.course.registry import select
from induction_heads.grading.pages import feedback_page, summary_page

SELECTIONS = select("ch01")
POINTS = {"ada": 3.0, "bob": 9.0, "eve": 0.0, "zoe": 9.0}


def record(student: str, points: float):
    exercises = [
        {
            "chapter": "ch01_attention",
            "name": exercise.name,
            "status": "failed",
            "message": "wrong",
            "mistake": None,
            "n_right": 1,
            "n_cases": 2,
            "points": points / len(SELECTIONS[0].exercises),
            "max_points": float(exercise.difficulty),
            "picture": None,
        }
        for exercise in SELECTIONS[0].exercises
    ]
    status = "graded" if student != "eve" else "not graded"
    return {
        "student": student,
        "status": status,
        "points": points,
        "max_points": 9.0,
        "exercises": exercises,
    }


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    records = [record(student, points) for student, points in POINTS.items()]
    (folder / "summary.html").write_text(summary_page(records, SELECTIONS), encoding="utf-8")
    (folder / "ada.html").write_text(feedback_page(records[0]), encoding="utf-8")
    return folder


def test_a_click_sorts_and_names_stay_in_view_on_a_phone(browser, pages):
    page = browser.new_page(viewport={"width": 390, "height": 600}, color_scheme="dark")
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"file://{pages / 'summary.html'}")
    table = page.locator("table.sortable").first
    names = table.locator("tbody th")
    points = table.get_by_role("button", name="points")
    points.click()
    assert names.all_inner_texts() == ["bob", "zoe", "ada", "eve"]
    points.click()
    assert names.all_inner_texts() == ["ada", "bob", "zoe", "eve"]  # Without a grade: at the end.
    table.get_by_role("button", name="student").click()
    assert names.all_inner_texts() == ["ada", "bob", "eve", "zoe"]
    assert table.locator("th[aria-sort=ascending]").inner_text().startswith("student")
    heat = page.locator(".heat")
    heat.evaluate("table => { table.parentElement.scrollLeft = 200 }")
    name = heat.locator("tbody th").first.bounding_box()
    assert name is not None
    assert name["x"] >= 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert problems == []
    page.goto(f"file://{pages / 'ada.html'}")
    page.get_by_role("link", name="ch01_attention").click()
    assert page.url.endswith("#ch01")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 28)"
    page.close()
