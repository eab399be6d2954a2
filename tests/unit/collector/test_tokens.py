"""Lists of tokens are mended to what parts there are."""

from __future__ import annotations

import pytest

from collector.store.tokens import mend_tokens, token_folders, write_through


@pytest.fixture
def table(tmp_path):
    """One table: parts 1, 2 to 6 merged, and 7 of another partition."""
    folder = tmp_path / "store/abc/abc-def"
    for part in ("41_1_1_0", "41_2_6_1", "all_7_7_0_9", "tmp_insert_41_8_8_0", "detached"):
        (folder / part).mkdir(parents=True)
    (folder / "deduplication_logs").mkdir()
    return folder


def listed(table, *lines):
    path = table / "deduplication_logs/deduplication_log_1.txt"
    path.write_text("".join(lines))
    return path


GOOD = (
    "1\t41_1_1_0\t41_x\n",
    "1\t41_4_4_0\t41_y\n",
    "1\tall_7_7_0\tall_z\n",
    "2\t41_9_9_0\t41_q\n",
)


def test_good_lists_stay_as_they_are(table, tmp_path):
    """Also those of parts that were merged, and of tokens that were dropped."""
    path = listed(table, *GOOD)
    before = path.stat()
    assert mend_tokens(tmp_path) == 0
    assert path.stat().st_ino == before.st_ino


def test_tokens_without_a_part_are_taken_out(table, tmp_path):
    """Another partition, a part under its temporary name, one that was never there, a torn line."""
    bad = ("1\t42_1_1_0\t42_x\n", "1\t41_8_8_0\t41_x\n", "1\t41_7_7_0\t41_x\n", "1\t41_1_1_0\t4")
    path = listed(table, *GOOD, *bad)
    assert mend_tokens(tmp_path) == 4
    assert path.read_text() == "".join(GOOD)
    assert mend_tokens(tmp_path) == 0


def test_lists_are_written_through(table, tmp_path):
    """Or it is said that they cannot be."""
    listed(table, *GOOD)
    assert write_through(token_folders(tmp_path)) in {True, False}
    assert mend_tokens(tmp_path) == 0
