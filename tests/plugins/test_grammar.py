"""``name[param=value,...]``: what it reads, writes and refuses."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omsdpm import InputError
from omsdpm.plugins import Named, import_object, split_list

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["trees", "kernel", "x_T", "shape"]), values))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_it_writes_it_reads(parameters):
    named = Named("gbdt", parameters)
    assert Named.parse(str(named)) == named
    assert split_list(f"{named},gp,{named}") == [str(named), "gp", str(named)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gp", {}),
        ("gp[]", {}),
        (" gp[ trees = 5 ]", {"trees": 5}),
        ("gp[weights=/a/b c.pth]", {"weights": "/a/b c.pth"}),
        ("gp[steps=[1,2],flag=true,none=null]", {"steps": [1, 2], "flag": True, "none": None}),
        ('gp[text="a,b=]"]', {"text": "a,b=]"}),
    ],
)
def test_values_are_json_or_words(text, expected):
    named = Named.parse(text)
    assert (named.name, dict(named.parameters)) == ("gp", expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gp[a=1", "with a closing bracket at the end"),
        ("gp[a=1]x", "with a closing bracket at the end"),
        ("gp[a]", "'a' is no param=value"),
        ("gp[a=]", "'a=' is no param=value"),
        ("gp[1=2]", "'1=2' is no param=value"),
        ("gp[a=1,a=2]", "parameter 'a' is given twice"),
        ("gp[a=1,]", "expected values with a comma between two"),
        ("gp[a=[1]", "brackets or quotes that do not close"),
        ("[a=1]", "names nothing"),
        ("", "names nothing"),
    ],
)
def test_what_it_cannot_read(text, message):
    with pytest.raises(InputError) as error:
        Named.parse(text)
    assert message in str(error.value)


def test_parameters_are_added_once():
    named = Named.parse("gp[a=1]").extended({"b": 2})
    assert str(named) == "gp[a=1,b=2]"
    with pytest.raises(InputError, match=r"'gp\[a=1\]': parameter 'a' is given twice"):
        Named.parse("gp[a=1]").extended({"a": 2})


def test_anything_is_imported_by_its_path():
    assert import_object("omsdpm.plugins:Named.parse", "reader")("gp").name == "gp"
    for path, message in {
        "omsdpm.plugins": "reader 'omsdpm.plugins': expected module:attribute",
        "omsdpm.plugins:Nmaed": "reader 'omsdpm.plugins:Nmaed' cannot be imported (AttributeError: ",
        "omsdpm.pulgins:Named": "reader 'omsdpm.pulgins:Named' cannot be imported (ModuleNotFoundError: ",
    }.items():
        with pytest.raises(InputError) as error:
            import_object(path, "reader")
        assert str(error.value).startswith(message)
