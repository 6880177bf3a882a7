"""What we have + what the server says = what to do."""

from hypothesis import given
from hypothesis import strategies as st

from domain.sync.plan import (
    BATCH,
    FIRST_BATCH,
    Announced,
    Flags,
    Known,
    Visit,
    batches,
    plan,
    visit,
)

UNSEEN, SEEN = Flags(), Flags(seen=True)
flags = st.builds(Flags, st.booleans(), st.booleans(), st.booleans())
folders = st.dictionaries(st.integers(1, 60), flags, max_size=40)


def known(**changed: int | None) -> Known:
    values = {"uid_validity": 7, "uid_next": 11, "highest_modseq": 90, "total": 4, **changed}
    return Known(**values)  # type: ignore[arg-type]


def announced(**changed: int | None) -> Announced:
    values = {"uid_validity": 7, "uid_next": 11, "highest_modseq": 90, "exists": 4, **changed}
    return Announced(**values)  # type: ignore[arg-type]


def test_a_folder_that_is_as_it_was_is_not_looked_into() -> None:
    assert visit(known(), announced()) is Visit.NOTHING


def test_any_difference_is_a_reason_to_look() -> None:
    for changed in ({"uid_next": 12}, {"highest_modseq": 91}, {"exists": 3}):
        assert visit(known(), announced(**changed)) is Visit.LOOK


def test_a_server_without_modseq_is_always_looked_at() -> None:
    assert visit(known(highest_modseq=None), announced(highest_modseq=None)) is Visit.LOOK


def test_a_folder_that_was_never_seen_to_its_end_is_looked_at() -> None:
    first = known(uid_validity=None, uid_next=None, highest_modseq=None, total=0)
    assert visit(first, announced()) is Visit.LOOK


def test_another_uid_validity_makes_our_uids_meaningless() -> None:
    assert visit(known(), announced(uid_validity=8)) is Visit.RENUMBERED


def test_what_is_new_is_fetched_newest_first() -> None:
    found = plan({2: SEEN}, [1, 2, 5, 9], {})
    assert found.fetch == (9, 5, 1)


def test_what_is_gone_is_forgotten() -> None:
    found = plan({1: SEEN, 2: SEEN, 3: SEEN}, [1, 3], {})
    assert (found.forget, found.fetch, found.sudden) == ((2,), (), False)


def test_only_flags_that_differ_are_changed() -> None:
    found = plan({1: UNSEEN, 2: UNSEEN}, [1, 2], {1: SEEN, 2: UNSEEN})
    assert found.reflag == {1: SEEN}


def test_what_the_employee_changed_and_the_server_does_not_know_is_left_alone() -> None:
    found = plan({1: SEEN}, [1], {1: UNSEEN}, keep_flags=frozenset({1}))
    assert found.reflag == {}


def test_a_folder_that_is_suddenly_empty_is_looked_at_a_second_time() -> None:
    assert plan({1: SEEN, 2: SEEN}, [], {}).sudden
    assert not plan({}, [], {}).sudden


def test_losing_most_of_a_folder_at_once_is_looked_at_a_second_time() -> None:
    ours = dict.fromkeys(range(1, 31), SEEN)
    assert plan(ours, list(range(1, 11)), {}).sudden
    assert not plan(ours, list(range(1, 25)), {}).sudden


def test_the_first_batch_is_one_page_and_the_others_are_larger() -> None:
    uids = list(range(500, 0, -1))
    sizes = [len(batch) for batch in batches(uids)]
    assert sizes == [FIRST_BATCH, BATCH, BATCH, BATCH, BATCH, 75]
    assert [uid for batch in batches(uids) for uid in batch] == uids
    assert list(batches([])) == []


@given(folders, folders)
def test_a_plan_that_is_carried_out_leaves_us_with_what_the_server_has(
    ours: dict[int, Flags], theirs: dict[int, Flags]
) -> None:
    found = plan(ours, list(theirs), theirs)
    after = {uid: flag for uid, flag in ours.items() if uid not in found.forget}
    after |= found.reflag
    after |= {uid: theirs[uid] for uid in found.fetch}
    assert after == theirs
    assert plan(after, list(theirs), theirs).nothing_to_do
    assert list(found.fetch) == sorted(found.fetch, reverse=True)
