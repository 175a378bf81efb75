"""Versions and aliases."""

import pytest

from lambda_support import Functions, asked, invoke, python_package, settled
from support import code_sha256, refused, status_of


def with_versions(lam, functions) -> str:
    """A function whose version 1 says 1, whose version 2 says 2, and whose $LATEST says 3."""
    name = functions.make("python")
    for version in (1, 2):
        assert lam.publish_version(FunctionName=name)["Version"] == str(version)
        lam.update_function_code(FunctionName=name, ZipFile=python_package(version + 1))
        settled(lam, name)
    return name


@pytest.fixture(scope="module")
def two(lam):
    """One for the checks that change nothing."""
    made = Functions(lam)
    yield with_versions(lam, made)
    made.clean()


def test_a_published_version_keeps_its_code(lam, two):
    for qualifier, says in (("1", 1), ("2", 2), ("$LATEST", 3)):
        answer = invoke(lam, two, {"ask": "version"}, Qualifier=qualifier)
        assert (answer["json"], answer["ExecutedVersion"]) == (says, qualifier)
        told = lam.get_function(FunctionName=two, Qualifier=qualifier)["Configuration"]
        assert (told["CodeSha256"], told["Version"]) == (code_sha256(python_package(says)), qualifier)


def test_a_version_has_an_arn_of_its_own(lam, two):
    told = lam.get_function(FunctionName=two, Qualifier="1")["Configuration"]
    assert told["FunctionArn"].endswith(f":function:{two}:1")
    assert invoke(lam, told["FunctionArn"], {"ask": "version"})["json"] == 1
    assert invoke(lam, f"{two}:2", {"ask": "version"})["json"] == 2


def test_versions_are_listed(lam, two):
    listed = lam.list_versions_by_function(FunctionName=two)["Versions"]
    assert [version["Version"] for version in listed] == ["$LATEST", "1", "2"]


def test_publishing_what_did_not_change_gives_the_same_version(lam, functions):
    name = functions.make("python")
    assert lam.publish_version(FunctionName=name)["Version"] == "1"
    assert lam.publish_version(FunctionName=name)["Version"] == "1"
    assert len(lam.list_versions_by_function(FunctionName=name)["Versions"]) == 2


def test_publishing_other_code_than_expected_is_refused(lam, functions):
    name = functions.make("python")
    with refused("InvalidParameterValueException", status=400):
        lam.publish_version(FunctionName=name, CodeSha256=code_sha256(b"other"))
    with refused("PreconditionFailedException", status=412):
        lam.publish_version(FunctionName=name, RevisionId="00000000-0000-0000-0000-000000000000")
    assert lam.publish_version(FunctionName=name, CodeSha256=functions.created["CodeSha256"], Description="v1")["Description"] == "v1"


def test_a_function_can_be_published_as_it_is_made(lam, functions):
    name = functions.make("python", Publish=True)
    assert functions.created["Version"] == "1"
    assert lam.get_function(FunctionName=name, Qualifier="1")["Configuration"]["State"] == "Active"


def test_a_version_that_is_not_there_is_not_found(lam, two):
    with refused("ResourceNotFoundException", status=404) as caught:
        lam.get_function(FunctionName=two, Qualifier="42")
    assert caught.value.response["Error"]["Message"].endswith(f":function:{two}:42")
    with refused("ResourceNotFoundException", status=404):
        invoke(lam, two, Qualifier="42")
    with refused("ResourceNotFoundException", status=404):
        invoke(lam, two, Qualifier="no-alias")


def test_a_version_is_deleted_alone(lam, functions):
    two = with_versions(lam, functions)
    lam.delete_function(FunctionName=two, Qualifier="1")
    with refused("ResourceNotFoundException", status=404):
        lam.get_function(FunctionName=two, Qualifier="1")
    assert asked(lam, two, "version") == 3
    assert [version["Version"] for version in lam.list_versions_by_function(FunctionName=two)["Versions"]] == ["$LATEST", "2"]


def test_an_alias_points_and_is_moved(lam, two):
    made = lam.create_alias(FunctionName=two, Name="live", FunctionVersion="1", Description="what runs")
    assert status_of(made) == 201
    assert (made["Name"], made["FunctionVersion"]) == ("live", "1")
    assert made["AliasArn"].endswith(f":function:{two}:live")
    answer = invoke(lam, two, {"ask": "version"}, Qualifier="live")
    assert (answer["json"], answer["ExecutedVersion"]) == (1, "1")
    assert lam.update_alias(FunctionName=two, Name="live", FunctionVersion="2")["RevisionId"] != made["RevisionId"]
    assert invoke(lam, f"{two}:live", {"ask": "version"})["json"] == 2
    assert lam.get_alias(FunctionName=two, Name="live")["FunctionVersion"] == "2"
    assert "live" in [alias["Name"] for alias in lam.list_aliases(FunctionName=two)["Aliases"]]
    assert status_of(lam.delete_alias(FunctionName=two, Name="live")) == 204
    with refused("ResourceNotFoundException", status=404):
        lam.get_alias(FunctionName=two, Name="live")


def test_an_alias_is_made_once_and_needs_its_version(lam, two):
    lam.create_alias(FunctionName=two, Name="once", FunctionVersion="1")
    with refused("ResourceConflictException", status=409):
        lam.create_alias(FunctionName=two, Name="once", FunctionVersion="2")
    with refused("ResourceNotFoundException", status=404):
        lam.create_alias(FunctionName=two, Name="other", FunctionVersion="42")
    with refused("ResourceNotFoundException", status=404):
        lam.update_alias(FunctionName=two, Name="nothing", FunctionVersion="1")


def test_an_alias_of_latest_follows_the_code(lam, functions):
    name = functions.make("python")
    lam.create_alias(FunctionName=name, Name="live", FunctionVersion="$LATEST")
    lam.update_function_code(FunctionName=name, ZipFile=python_package(2))
    settled(lam, name)
    assert asked(lam, f"{name}:live", "version") == 2


def test_code_is_updated_at_latest_only(lam, two):
    with refused("InvalidParameterValueException", "ResourceNotFoundException", "ValidationException"):
        lam.update_function_code(FunctionName=f"{two}:1", ZipFile=python_package(9))
    assert invoke(lam, two, {"ask": "version"}, Qualifier="1")["json"] == 1
