"""Text becomes nodes that know their place, within limits."""

from __future__ import annotations

import pytest

from analysis.slo.openslo import document
from analysis.slo.openslo.document import locate, read_documents, resolve
from analysis.slo.openslo.errors import DocumentError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("~", None),
        ("Null", None),
        ("yes", True),
        ("on", True),
        ("n", False),
        ("oN", "oN"),
        ("7", 7),
        ("-7", -7),
        ("010", 8),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b101", 5),
        ("1_000", 1000),
        ("09", 9.0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1E+308", 1e308),
        ("1e999", "1e999"),
        ("1:30", "1:30"),
        ("2022-01-01 12:00:00", "2022-01-01 12:00:00"),
        ("-", "-"),
        ("5m", "5m"),
        ("9" * 70, float("9" * 70)),
    ],
)
def test_plain_scalars_mean_what_they_mean_to_the_official_tools(text, expected):
    """YAML 1.1 as Go reads it: dates and sexagesimals are text, on is true, 010 is eight."""
    found = resolve(text)
    assert (expected, type(expected)) == (found, type(found))


def test_nodes_know_their_place():
    """Lines and columns count from 1, in the second document too."""
    first, second = read_documents("a: 1\n---\nb:\n  - c: [x, 2]\n")
    assert (first.get("a").line, first.get("a").column) == (1, 4)
    node, line, column, exists = locate(second, ("b", 0, "c", 1))
    assert (node.value, line, column, exists) == (2, 4, 12, True)


def test_a_missing_place_is_that_of_its_parent():
    """What is not there is complained about where it should stand."""
    (root,) = read_documents("a:\n  b: {c: 1}\n")
    assert locate(root, ("a", "b", "d"))[1:] == (2, 3, False)
    assert locate(root, ("x", 3))[1:] == (1, 1, False)


def test_empty_documents_are_left_out():
    """Separators alone are no definitions."""
    assert read_documents("---\n---\n# nothing\n") == ()
    assert read_documents("") == ()


def test_aliases_and_merge_keys_are_followed():
    """An alias is the node again; a merge key adds what the mapping does not say itself."""
    (root,) = read_documents("a: &a {x: 1, z: 2}\nb: {<<: *a, z: 3}\nc: *a\n")
    assert root.get("b").plain() == {"z": 3, "x": 1}
    assert root.get("c").plain() == {"x": 1, "z": 2}
    assert [entry.merged for entry in root.get("b").entries] == [False, True]


def test_keys_given_twice_are_kept():
    """The last one counts, and both can be seen."""
    (root,) = read_documents("a: 1\na: 2\n")
    assert root.get("a").value == 2
    assert [entry.line for entry in root.entries] == [1, 2]


def test_json_with_tabs_is_read():
    """JSON may be indented by tabs."""
    (root,) = read_documents('{\n\t"a": [1,\n\t\ttrue]\n}')
    assert root.plain() == {"a": [1, True]}


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("a: [1\n", (2, 1), "did not find expected"),
        ("a: *b\n", (1, 4), "unknown alias"),
        ("? [1]\n: 2\n", (1, 3), "as a key"),
        ("a: !!python/object:os.system x\n", (1, 4), "tag"),
        ("a: .inf\n", (1, 4), ".inf"),
        ("<<: 3\n", (1, 5), "3"),
        ("a: \x00\n", (1, 1), "printable"),
        ("[" * 70, (1, 65), "nested too deep"),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(text, place, part):
    """A DocumentError says where, what, and what would be accepted."""
    with pytest.raises(DocumentError) as caught:
        read_documents(text)
    assert place == (caught.value.line, caught.value.column)
    assert part in str(caught.value)


def test_a_bomb_of_aliases_is_refused():
    """Ten levels of ten aliases each are ten thousand million values: refused before they exist."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(DocumentError, match="too many values"):
        read_documents("\n".join(lines))


def test_a_chain_of_aliases_is_no_way_around_the_depth(monkeypatch):
    """Depth counts through aliases."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 80)]
    with pytest.raises(DocumentError, match="nested too deep"):
        read_documents("\n".join(lines))


def test_size_and_number_of_documents_are_bounded(monkeypatch):
    """Both limits bite, and say so."""
    monkeypatch.setattr(document, "BYTES_MAX", 10)
    with pytest.raises(DocumentError, match="too large"):
        read_documents("a: 1234567890")
    monkeypatch.setattr(document, "BYTES_MAX", 1000)
    monkeypatch.setattr(document, "DOCUMENTS_MAX", 2)
    with pytest.raises(DocumentError, match="too many documents"):
        read_documents("---\na\n---\nb\n---\nc\n")
