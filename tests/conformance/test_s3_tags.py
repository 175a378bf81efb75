"""Object tags."""

import pytest

from support import body_of, exists, refused, status_of


def tags_of(s3, bucket, key, **arguments) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key=key, **arguments)["TagSet"]}


def tag_set(**tags) -> dict:
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def test_tags_are_put_replaced_and_deleted(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    assert tags_of(s3, bucket, "key") == {}
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging=tag_set(stage="dev", empty=""))
    assert tags_of(s3, bucket, "key") == {"stage": "dev", "empty": ""}
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging=tag_set(stage="prod"))
    assert tags_of(s3, bucket, "key") == {"stage": "prod"}
    assert status_of(s3.delete_object_tagging(Bucket=bucket, Key="key")) == 204
    assert tags_of(s3, bucket, "key") == {}
    assert body_of(s3, bucket, "key") == b"x"


def test_tags_come_with_a_put(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Tagging="a=1&b=two%20words&c=")
    assert tags_of(s3, bucket, "key") == {"a": "1", "b": "two words", "c": ""}


def test_tags_are_counted(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Tagging="a=1&b=2&c=")
    assert s3.get_object(Bucket=bucket, Key="key")["TagCount"] == 3
    assert s3.head_object(Bucket=bucket, Key="key")["TagCount"] == 3
    s3.delete_object_tagging(Bucket=bucket, Key="key")
    assert "TagCount" not in s3.head_object(Bucket=bucket, Key="key")


def test_each_version_has_its_own_tags(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="key", Body=b"1", Tagging="n=1")["VersionId"]
    second = s3.put_object(Bucket=versioned, Key="key", Body=b"2", Tagging="n=2")["VersionId"]
    assert tags_of(s3, versioned, "key") == {"n": "2"}
    assert tags_of(s3, versioned, "key", VersionId=first) == {"n": "1"}
    s3.put_object_tagging(Bucket=versioned, Key="key", VersionId=first, Tagging=tag_set(n="one"))
    assert tags_of(s3, versioned, "key", VersionId=first) == {"n": "one"}
    assert tags_of(s3, versioned, "key", VersionId=second) == {"n": "2"}


def test_tagging_changes_neither_etag_nor_date(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    before = s3.head_object(Bucket=bucket, Key="key")
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging=tag_set(a="1"))
    after = s3.head_object(Bucket=bucket, Key="key")
    assert (before["ETag"], before["LastModified"]) == (after["ETag"], after["LastModified"])


@pytest.mark.parametrize("tagging", ["a=1&a=2", "&".join(f"k{n}=v" for n in range(11))], ids=["twice", "eleven"])
def test_tags_that_break_the_rules_refuse_the_put(s3, bucket, tagging):
    with refused("InvalidArgument", "InvalidTag", "BadRequest", status=400):
        s3.put_object(Bucket=bucket, Key="key", Body=b"x", Tagging=tagging)
    assert not exists(s3, bucket, "key")


@pytest.mark.parametrize(
    "tags",
    [
        [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}],
        [{"Key": "k" * 129, "Value": "1"}],
        [{"Key": "a", "Value": "v" * 257}],
        [{"Key": "aws:reserved", "Value": "1"}],
    ],
    ids=["twice", "long key", "long value", "reserved"],
)
def test_tags_that_break_the_rules_are_refused(s3, bucket, tags):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Tagging="kept=1")
    with refused("InvalidTag", status=400):
        s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": tags})
    assert tags_of(s3, bucket, "key") == {"kept": "1"}


def test_an_object_has_at_most_ten_tags(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    ten = {f"k{n}": str(n) for n in range(10)}
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging=tag_set(**ten))
    with refused("BadRequest", "InvalidTag", status=400):
        s3.put_object_tagging(Bucket=bucket, Key="key", Tagging=tag_set(**ten, k10="10"))
    assert tags_of(s3, bucket, "key") == ten


def test_the_tags_of_a_missing_key_are_not_found(s3, bucket):
    with refused("NoSuchKey", status=404):
        s3.get_object_tagging(Bucket=bucket, Key="nothing")
    with refused("NoSuchKey", status=404):
        s3.put_object_tagging(Bucket=bucket, Key="nothing", Tagging=tag_set(a="1"))
