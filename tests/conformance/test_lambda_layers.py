"""Layers: published, listed, deleted, given to functions."""

import json
import re
import urllib.request

import pytest

from lambda_support import asked, invoke, python_package, settled
from support import code_sha256, package, refused, status_of, unique


@pytest.fixture
def layers(lam):
    """Publishes versions of layers of a check's own, and removes them when it ends."""
    made = []

    def publish(files: dict, *, name: str | None = None, **arguments) -> dict:
        name = name or unique("layer")
        version = lam.publish_layer_version(LayerName=name, Content={"ZipFile": package(files)}, **arguments)
        made.append((name, version["Version"]))
        return version

    yield publish
    for name, version in made:
        lam.delete_layer_version(LayerName=name, VersionNumber=version)


def test_a_layer_is_published_and_described(lam, layers):
    name = unique("layer")
    files = {"python/said.py": "TEXT = 'hello'\n"}
    made = layers(files, name=name, Description="about", CompatibleRuntimes=["python3.12"], LicenseInfo="MIT")
    assert status_of(made) == 201
    assert made["Version"] == 1
    assert re.fullmatch(rf"arn:aws:lambda:us-east-1:\d{{12}}:layer:{name}", made["LayerArn"])
    assert made["LayerVersionArn"] == made["LayerArn"] + ":1"
    assert (made["Description"], made["CompatibleRuntimes"], made["LicenseInfo"]) == ("about", ["python3.12"], "MIT")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", made["CreatedDate"])
    sent = package(files)
    for told in (made, lam.get_layer_version(LayerName=name, VersionNumber=1), lam.get_layer_version_by_arn(Arn=made["LayerVersionArn"])):
        assert told["LayerVersionArn"] == made["LayerVersionArn"]
        assert (told["Content"]["CodeSize"], told["Content"]["CodeSha256"]) == (len(sent), code_sha256(sent))


def test_a_layers_content_can_be_downloaded(lam, layers):
    files = {"python/said.py": "TEXT = 'hello'\n"}
    made = layers(files)
    location = lam.get_layer_version_by_arn(Arn=made["LayerVersionArn"])["Content"]["Location"]
    with urllib.request.urlopen(location, timeout=20) as answer:
        assert answer.read() == package(files)


def test_a_layer_is_published_from_s3(lam, s3, bucket, layers):
    sent = package({"python/said.py": "TEXT = 'from S3'\n"})
    s3.put_object(Bucket=bucket, Key="layer.zip", Body=sent)
    name = unique("layer")
    made = lam.publish_layer_version(LayerName=name, Content={"S3Bucket": bucket, "S3Key": "layer.zip"})
    try:
        assert made["Content"]["CodeSha256"] == code_sha256(sent)
    finally:
        lam.delete_layer_version(LayerName=name, VersionNumber=made["Version"])


def test_the_versions_of_a_layer_are_listed_newest_first(lam, layers):
    name = unique("layer")
    for text in "123":
        layers({"n": text}, name=name)
    listed = lam.list_layer_versions(LayerName=name)["LayerVersions"]
    assert [version["Version"] for version in listed] == [3, 2, 1]


def test_the_number_of_a_deleted_version_is_not_given_again(lam, layers):
    name = unique("layer")
    layers({"n": "1"}, name=name)
    layers({"n": "2"}, name=name)
    assert status_of(lam.delete_layer_version(LayerName=name, VersionNumber=2)) == 204
    assert layers({"n": "3"}, name=name)["Version"] == 3
    with refused("ResourceNotFoundException", status=404):
        lam.get_layer_version(LayerName=name, VersionNumber=2)


def test_deleting_a_version_that_is_not_there_is_no_error(lam):
    assert status_of(lam.delete_layer_version(LayerName=unique("layer"), VersionNumber=7)) == 204


def test_a_layer_that_is_not_there_has_no_versions(lam):
    name = unique("layer")
    assert lam.list_layer_versions(LayerName=name)["LayerVersions"] == []
    with refused("ResourceNotFoundException", status=404):
        lam.get_layer_version(LayerName=name, VersionNumber=1)


def test_layers_are_listed_with_their_newest_version_for_a_runtime(lam, layers):
    name = unique("layer")
    layers({"n": "1"}, name=name, CompatibleRuntimes=["python3.12"])
    layers({"n": "2"}, name=name, CompatibleRuntimes=["nodejs20.x"])

    def newest(**arguments):
        pages = lam.get_paginator("list_layers").paginate(**arguments)
        found = [layer for page in pages for layer in page["Layers"] if layer["LayerName"] == name]
        return found[0]["LatestMatchingVersion"]["Version"] if found else None

    assert newest() == 2
    assert newest(CompatibleRuntime="python3.12") == 1
    assert newest(CompatibleRuntime="ruby3.3") is None


def test_a_layer_is_no_broken_zip(lam):
    with refused("InvalidParameterValueException", status=400):
        lam.publish_layer_version(LayerName=unique("layer"), Content={"ZipFile": b"no zip"})


APP = "import said\n\ndef handler(event, context):\n    return said.TEXT\n"


def said(lam, function: str):
    answer = invoke(lam, function)
    assert "FunctionError" not in answer, answer["json"]
    return answer["json"]


def test_a_function_imports_from_its_layers(lam, functions, layers):
    deps = layers({"python/said.py": "TEXT = 'of the layer'\n"})
    name = functions.make("python", Code={"ZipFile": package({"app.py": APP})}, Layers=[deps["LayerVersionArn"]])
    used = lam.get_function_configuration(FunctionName=name)["Layers"]
    assert [(layer["Arn"], layer["CodeSize"]) for layer in used] == [(deps["LayerVersionArn"], deps["Content"]["CodeSize"])]
    assert said(lam, name) == "of the layer"


def test_the_later_layer_wins(lam, functions, layers):
    arns = [layers({"python/said.py": f"TEXT = '{text}'\n"})["LayerVersionArn"] for text in ("first", "second")]
    name = functions.make("python", Code={"ZipFile": package({"app.py": APP})}, Layers=arns)
    assert said(lam, name) == "second"


def test_a_function_requires_from_its_layers(lam, functions, layers):
    deps = layers({"nodejs/node_modules/said/index.js": "exports.text = 'of the layer';\n"})
    index = "exports.handler = async () => require('said').text;\n"
    name = functions.make("node", Code={"ZipFile": package({"index.js": index})}, Layers=[deps["LayerVersionArn"]])
    assert said(lam, name) == "of the layer"


def test_a_function_keeps_a_layer_that_was_deleted(lam, functions, layers):
    layer = unique("layer")
    deps = layers({"python/said.py": "TEXT = 'still here'\n"}, name=layer)
    name = functions.make("python", Code={"ZipFile": package({"app.py": APP})}, Layers=[deps["LayerVersionArn"]])
    lam.delete_layer_version(LayerName=layer, VersionNumber=1)
    lam.update_function_code(FunctionName=name, ZipFile=package({"app.py": APP + "# edited\n"}))
    assert [used["Arn"] for used in settled(lam, name)["Layers"]] == [deps["LayerVersionArn"]]
    assert said(lam, name) == "still here"


def test_layers_are_taken_away_by_an_empty_list(lam, functions, layers):
    deps = layers({"python/said.py": "TEXT = 'hello'\n"})
    name = functions.make("python", Layers=[deps["LayerVersionArn"]])
    lam.update_function_configuration(FunctionName=name, Layers=[])
    assert settled(lam, name).get("Layers", []) == []
    assert asked(lam, name, "version") == 1


def test_a_layer_version_that_is_not_there_is_named(lam, functions, layers):
    name = functions.make("python")
    missing = layers({"n": "1"})["LayerArn"] + ":99"
    with refused("InvalidParameterValueException", status=400) as error:
        lam.update_function_configuration(FunctionName=name, Layers=[missing])
    assert missing in json.dumps(error.value.response["Error"])


def test_a_function_has_at_most_five_layers(lam, functions, layers):
    arns = [layers({"n": text})["LayerVersionArn"] for text in "123456"]
    name = functions.make("python", Layers=arns[:5])
    with refused("InvalidParameterValueException", status=400):
        lam.update_function_configuration(FunctionName=name, Layers=arns)


def test_a_function_has_one_version_of_a_layer(lam, functions, layers):
    layer = unique("layer")
    arns = [layers({"n": text}, name=layer)["LayerVersionArn"] for text in "12"]
    name = functions.make("python", Code={"ZipFile": python_package()})
    with refused("InvalidParameterValueException", status=400):
        lam.update_function_configuration(FunctionName=name, Layers=arns)
