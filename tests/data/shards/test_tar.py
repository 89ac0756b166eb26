import contextlib
import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.errors import DataError
from neocog.shards.tar import group_members, read_plain_header, walk_tar


def walked(content):
    return list(walk_tar(lambda start, length: content[start : start + length], len(content), "a.tar"))


def special(kind, name="x.jpg", link="y"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        tar.addfile(info)
    return file.getvalue()


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/."), min_size=1, max_size=200)


@given(st.dictionaries(NAMES, st.binary(max_size=1500), max_size=6), st.sampled_from([0, 1, 2]))
def test_members_lie_where_tarfile_says(tar, members, format):
    if format == tarfile.USTAR_FORMAT:
        members = {name[:20].encode().hex()[:90] or "x": content for name, content in members.items()}
    content = tar(members, format)
    found = {member.name: content[member.offset : member.stop] for member in walked(content)}
    assert found == members


def test_folders_and_files_without_extension_are_ignored(tar):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        folder = tarfile.TarInfo("./a")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name in ("./README", "./a/.hidden.jpg", "./a/1.JPG", "./a/1.seg.png", "./a/2.jpg"):
            archive.addfile(tarfile.TarInfo(name))
    records = list(group_members(walked(file.getvalue()), "a.tar"))
    assert [(record.key, list(record.members)) for record in records] == [("a/1", ["jpg", "seg.png"]), ("a/2", ["jpg"])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (special(tarfile.SYMTYPE), r"a.tar holds 'x.jpg', which is a link. Pack it without"),
        (special(tarfile.LNKTYPE), "which is a link"),
        (special(tarfile.CHRTYPE), "which is a device"),
        (special(tarfile.FIFOTYPE), "which is a pipe"),
        (special(tarfile.GNUTYPE_SPARSE), "which is a sparse file"),
        (special(b"Q"), "of an unknown type"),
        (
            special(tarfile.REGTYPE, "/etc/passwd.jpg"),
            "a path that leaves its folder: '/etc/passwd.jpg'. It is not read",
        ),
        (special(tarfile.REGTYPE, "a/../../b.jpg"), "a path that leaves its folder"),
        (b"", "truncated: it ends at byte 0 without an end mark"),
        (b"no tar" * 200, "damaged, or not a tar: there is no header at byte 0"),
        (special(tarfile.REGTYPE)[:512], "truncated: it ends at byte 512 without an end mark"),
        (bytes(1024) + special(tarfile.REGTYPE), "continues after its end mark, behind byte 0"),
    ],
)
def test_damaged_and_unsafe_tars_are_refused(content, message):
    with pytest.raises(DataError, match=message):
        walked(content)


def test_a_size_that_goes_past_the_end_is_refused(tar):
    info = tarfile.TarInfo("x.jpg")
    for size in (5000, 8**11 - 1, 2**50):
        info.size = size
        with pytest.raises(DataError, match=f"it promises {size:,} bytes, and only 1,024 follow"):
            walked(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def test_duplicate_member_is_refused(tar):
    with pytest.raises(DataError, match=r"a.tar holds '1.JPG' twice"):
        list(group_members(walked(tar({"1.jpg": b"", "1.cls": b"", "1.JPG": b""})), "a.tar"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (b"12 path=x.jp", "an extended header can't be read"),
        (b"99 path=x.jpg\n", "an extended header can't be read"),
        (b"14 size=bytes\n", "the size at byte 1,024 is 'bytes'"),
        (b"12 size=-5\n\n", "the size at byte 1,024 is|can't be read"),
        (b"28 GNU.sparse.major=1000000\n", "a sparse or renamed one"),
    ],
)
def test_damaged_extended_header_is_refused(values, message):
    head = tarfile.TarInfo("pax")
    head.type, head.size = tarfile.XHDTYPE, len(values)
    content = head.tobuf() + values.ljust(512, b"\0") + tarfile.TarInfo("x.jpg").tobuf() + bytes(1024)
    with pytest.raises(DataError, match=message):
        walked(content)


def test_absurdly_long_name_is_refused():
    head = tarfile.TarInfo("long")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, 2**21
    with pytest.raises(DataError, match="a name at byte 512 is 2,097,152 bytes long"):
        walked(head.tobuf() + bytes(2**21 + 1024))


@settings(max_examples=400)
@given(st.lists(st.tuples(st.integers(0, 3583), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_tars_end_in_an_error_or_in_members_within_the_file(tar, changes):
    content = bytearray(tar({"a.jpg": b"x" * 600, "b" * 120 + ".jpg": b"y"}, tarfile.PAX_FORMAT)[:4608])
    for place, value in changes:
        content[place] = value
    with contextlib.suppress(DataError):
        for member in walked(bytes(content)):
            assert 0 <= member.start < member.offset <= member.stop <= len(content)


@given(st.integers(0, 511), st.integers(0, 255))
def test_the_fast_way_to_read_a_header_agrees_with_tarfile(place, value):
    block = bytearray(tarfile.TarInfo("some/name.jpg").tobuf(tarfile.GNU_FORMAT))
    assert read_plain_header(bytes(block)) == ("some/name.jpg", 0, tarfile.REGTYPE)
    block[place] = value
    found = read_plain_header(bytes(block))
    if found:
        info = tarfile.TarInfo.frombuf(bytes(block), "utf-8", "surrogateescape")
        assert found == (info.name, info.size, info.type)
