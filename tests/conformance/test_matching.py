"""What a step stands for, and what an answer must be like."""

import pytest

from tests.conformance.matching import at, differences, filled


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("$id", "t-1"),
        ("tasks/$id-b", "tasks/t-1-b"),
        ("$n", 7),  # alone, a variable keeps its kind
        ("n = $n", "n = 7"),
        ("$other $id", "$other t-1"),
        ({"$id": ["$n"]}, {"t-1": [7]}),
        ({"$text": ["ab", 2]}, "abab"),
        ({"$nest": 3}, {"a": {"a": {}}}),
        ({"$each": [2, {"n": "$n", "of": "$uid"}]}, [{"n": 7, "of": "u"}] * 2),
    ],
)
def test_a_template_is_filled(template, value):
    assert filled(template, {"id": "t-1", "n": 7, "uid": "u"}) == value


def test_each_counts():
    assert filled({"$each": [2, ["$n", "line $n"]]}, {}) == [[0, "line 0"], [1, "line 1"]]


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": None}, {}),
        ({"a": {"b": [1, {}]}}, {"a": {"b": [1.0, {"c": 1}]}}),
        ({"$any": True}, 0),
        ({"$like": "^a.c$"}, "abc"),
        ({"$size": 2}, ["a", "b"]),
    ],
)
def test_an_answer_that_is_as_it_must_be_differs_in_nothing(expected, found):
    assert not list(differences(expected, found))


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ({"a": None}, {"a": 0}),
        ([], [1]),
        ([{}], []),
        ({}, None),
        (1, True),
        (True, 1),
        ("1", 1),
        ({"$any": True}, None),
        ({"$like": "a"}, None),
        ({"$size": 2}, "a"),
    ],
)
def test_one_that_is_not_is_told_with_its_place(expected, found):
    [told] = differences({"x": [expected]}, {"x": [found]})
    assert told.startswith("answer.x[0]")


def test_a_path_leads_into_lists_and_objects():
    assert at("0.run.uid", [{"run": {"uid": "u"}}]) == "u"
