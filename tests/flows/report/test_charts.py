"""Charts: shapes follow from the numbers, and text from outside cannot become markup."""

import xml.etree.ElementTree as ElementTree

import pytest

from flows.report.charts import MOST_POINTS, Part, bar, columns, line, stacked, ticks_between


def test_a_stacked_bar_fills_its_width_with_parts_in_proportion():
    drawn = ElementTree.fromstring(stacked([Part("kept", 30, "kept"), Part("empty", 10, "r0")], 40, "30 of 40"))
    assert [(float(rect.get("x")), float(rect.get("width"))) for rect in drawn] == [(0, 75), (75, 25)]


def test_a_stacked_bar_of_nothing_is_empty_and_divides_by_no_zero():
    drawn = ElementTree.fromstring(stacked([Part("kept", 0, "kept")], 0, "nothing"))
    assert [float(rect.get("width")) for rect in drawn] == [0]


def test_a_label_cannot_close_its_tag():
    drawn = ElementTree.fromstring(bar(1, 2, '"><script>alert(1)</script>', css="time"))
    assert drawn.get("aria-label") == '"><script>alert(1)</script>'


def test_a_whisker_stays_inside_the_bar():
    drawn = str(bar(0.5, 1.0, "half", css="k-trained", span=(-0.2, 1.2), mark=0.1))
    assert "M0 5H100" in drawn and "M10 0V10" in drawn


@pytest.mark.parametrize(("low", "high"), [(0, 1), (3.2, 9.7), (-1, 1), (0, 500_000), (1e-6, 3e-6), (6.8, 6.9)])
def test_ticks_are_few_round_and_inside(low, high):
    ticks = ticks_between(low, high)
    assert 1 <= len(ticks) <= 6 and all(low - 1e-9 <= tick <= high * (1 + 1e-9) for tick in ticks)


def test_a_line_of_half_a_million_steps_stays_small():
    drawn = line([(step, 1 / (step + 1)) for step in range(5000)], "loss")
    assert drawn.count("L") <= 2 * MOST_POINTS and len(drawn) < 20_000


def test_a_line_bears_one_point_flat_values_and_what_is_not_finite():
    assert "NaN" not in line([(0, 1.0)], "one") and "nan" not in line([(0, 2.0), (1, 2.0), (2, float("nan"))], "flat")
    assert line([], "none") == "" and line([(0, float("inf"))], "none") == ""


def test_columns_stand_on_one_another_and_the_highest_fills_the_height():
    groups = [[Part("a", 6, "kept"), Part("b", 2, "r0")], [Part("c", 4, "kept"), Part("d", 0, "r0")]]
    drawn = ElementTree.fromstring(columns(groups, "two columns"))
    boxes = [(float(each.get("x")), float(each.get("y")), float(each.get("height"))) for each in drawn]
    assert boxes == [(0, 10, 30), (0, 0, 10), (50, 20, 20)], "a part of nothing is not drawn"
    assert columns([], "none") == "" and columns([[Part("a", 0, "kept")]], "nothing") == ""
