"""Files of mail services: CSV as spreadsheets write it, JSON, and what is neither."""

import json

import pytest
from sqlalchemy.orm import Session

from domain import service_files, service_import
from domain.errors import RefusedError
from domain.service_files import COLUMNS, FILE_LONGEST, ROWS_MOST, Record
from tests.domain.test_service_import import FIRM, checked

HEADER = ",".join(COLUMNS)
LINE = ",".join(str(FIRM[column]) for column in COLUMNS)
AFTER_THE_NAME = LINE.removeprefix("Firm mail")


def read(text: str | bytes, name: str = "-") -> list[Record]:
    return service_files.read(text if isinstance(text, bytes) else text.encode(), name)


def refused(text: str | bytes, name: str = "-") -> tuple[str, str]:
    with pytest.raises(RefusedError) as caught:
        read(text, name)
    return caught.value.field, caught.value.code


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{LINE}\n",
        f"{HEADER}\r\n{LINE}\r\n",
        f"{HEADER}\r{LINE}",
        f"\ufeff{HEADER}\n{LINE}",
        f"\n \n{HEADER}\n\n{LINE}\n\n",
        f"{HEADER}\n{LINE}".replace(",", ";"),
        f"\n\n{HEADER}\n{LINE}".replace(",", ";"),
        f" {HEADER.replace(',', ' , ')}\n{LINE}",
        HEADER + "\n" + ",".join(f'"{FIRM[column]}"' for column in COLUMNS),
        ",".join(reversed(COLUMNS)) + "\n" + ",".join(reversed(LINE.split(","))),
    ],
)
def test_csv_is_read_as_spreadsheets_write_it(text: str) -> None:
    assert read(text) == [Record(1, dict(FIRM))]


@pytest.mark.parametrize(("separator", "other"), [(",", ";"), (";", ",")])
def test_only_the_header_decides_between_commas_and_semicolons(separator: str, other: str) -> None:
    text = f"{HEADER}\nFirm mail{AFTER_THE_NAME}".replace(",", separator)
    found = read(text.replace("Firm mail", other * 20))
    assert found[0].values == {**FIRM, "name": other * 20}


def test_rows_are_counted_in_the_order_of_records_not_of_lines() -> None:
    text = f'{HEADER}\n"Firm\n\nmail"{AFTER_THE_NAME}\n\n  \n{LINE}\n{LINE}\n'
    assert [one.number for one in read(text)] == [1, 2, 3]


def test_what_a_short_row_leaves_out_is_missed_at_its_column(session: Session) -> None:
    found = service_import.check(session, read(f"{HEADER}\nFirm,smtp.firm.test:465,tls"))[0].fault
    assert found is not None
    assert (found.field, found.code) == ("smtp_non_standard", "not_a_switch")


def test_a_row_with_too_many_values_is_refused_as_a_row(session: Session) -> None:
    records = read(f"{HEADER}\nFirm, Inc{AFTER_THE_NAME}\n{LINE}")
    found = [row.fault for row in service_import.check(session, records)]
    assert found[0] is not None
    assert (found[0].field, found[0].code) == ("", "row_long")
    assert found[0].parameters == {"found": 8, "wanted": 7}
    assert found[1] is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("", "file_empty")),
        ("\n \n", ("", "file_empty")),
        (LINE, ("Firm mail", "column_unknown")),
        (f"{HEADER},hidden", ("hidden", "column_unknown")),
        (HEADER.upper(), ("NAME", "column_unknown")),
        (f"{HEADER},", ("", "column_unknown")),
        (f"{HEADER},{'x' * 100}", ("x" * 60, "column_unknown")),
        (f"{HEADER},name", ("name", "column_twice")),
        (HEADER.removesuffix(",imap_non_standard"), ("imap_non_standard", "column_missing")),
        (HEADER.removeprefix("name,"), ("name", "column_missing")),
        (f'{HEADER}\n"Firm mail{AFTER_THE_NAME}', ("", "csv_broken")),
        (f'{HEADER}\n"Firm" mail{AFTER_THE_NAME}', ("", "csv_broken")),
        (f"{HEADER}\n{'x' * 200_000}{AFTER_THE_NAME}", ("", "csv_broken")),
        (f"{HEADER}\n{LINE}\0", ("", "file_not_text")),
        (HEADER.encode() + b"\n\xd0", ("", "file_not_text")),
        (HEADER.encode("utf-16"), ("", "file_not_text")),
        (f"{HEADER}\n" + "a\n" * (ROWS_MOST + 1), ("", "rows_many")),
        (b" " * (FILE_LONGEST + 1), ("", "file_large")),
    ],
)
def test_a_fault_of_the_file_is_told_as_such(text: str | bytes, expected: tuple[str, str]) -> None:
    assert refused(text) == expected


# JSON


def test_json_is_a_list_of_objects() -> None:
    whole: list[dict[str, object]] = [{**FIRM, "hidden": True}, {"name": "Почта"}]
    assert read(json.dumps(whole)) == [Record(1, whole[0]), Record(2, whole[1])]
    assert read("\ufeff \n[]") == []


def test_an_entry_that_is_no_object_is_a_row_at_fault(session: Session) -> None:
    found = service_import.check(session, read('["Firm mail", {"name": "gmail.com"}]'))
    assert [row.fault and row.fault.code for row in found] == ["row_no_object", None]


def test_of_a_new_service_name_servers_and_security_have_to_be_there(session: Session) -> None:
    needed = [column for column in COLUMNS if not column.endswith("_non_standard")]
    short = {column: FIRM[column] for column in needed}
    assert checked(session, short)[0].fault is None
    for column in needed:
        found = checked(session, {field: short[field] for field in short if field != column})
        assert found[0].fault is not None
        assert found[0].fault.field == column


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", ("", "json_no_list")),
        ("[1, 2", ("", "json_broken")),
        ("[{]", ("", "json_broken")),
        ("[" * 100_000, ("", "json_deep")),
        ('[{"name":' * 50_000, ("", "json_deep")),
        ('[{"name": "A", "hidden": true, "name": "B"}]', ("name", "field_twice")),
        (f"[{'[],' * ROWS_MOST}[]]", ("", "rows_many")),
        (b'["\xff"]', ("", "file_not_text")),
    ],
)
def test_json_that_cannot_be_read_is_a_fault_of_the_file(
    text: str | bytes, expected: tuple[str, str]
) -> None:
    assert refused(text) == expected


@pytest.mark.parametrize("number", ["5", "1e999", "NaN", "-Infinity", "9" * 100_000])
def test_a_number_is_no_value_of_any_field(session: Session, number: str) -> None:
    row = json.dumps({**FIRM, "smtp_non_standard": "PLACE"}).replace('"PLACE"', number)
    found = service_import.check(session, read(f"[{row}]"))[0].fault
    assert found is not None
    assert (found.field, found.code) == ("smtp_non_standard", "not_a_switch")


def test_the_ending_decides_and_without_one_the_content() -> None:
    rows = json.dumps([dict(FIRM)])
    assert read(rows, "services.JSON") == read(rows, "services") == [Record(1, dict(FIRM))]
    assert read(f"{HEADER}\n{LINE}", "services.txt") == read(f"{HEADER}\n{LINE}", "services.CSV")
    assert refused(rows, "services.csv")[1] == "column_unknown"
    assert refused(HEADER, "services.json") == ("", "json_broken")
