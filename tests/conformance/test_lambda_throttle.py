"""Lambda's quotas: 15 control-plane calls a second together, 100 of GetFunction."""

from botocore.exceptions import ClientError

from conftest import client
from support import headers_of


def test_too_many_control_plane_calls_are_throttled_and_told_when_to_come_back(pool, probe):
    hasty = client("lambda", attempts=1)

    def call(_):
        try:
            hasty.get_function_configuration(FunctionName=probe)
        except ClientError as error:
            return error.response
        return None

    refusals = [refusal for refusal in pool.map(call, range(90)) if refusal]
    assert refusals
    for refusal in refusals:
        assert refusal["Error"]["Code"] == "TooManyRequestsException"
        assert refusal["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert int(headers_of(refusals[0])["retry-after"]) >= 1
    assert len(refusals) < 90


def test_get_function_has_a_quota_of_its_own(pool, probe):
    hasty = client("lambda", attempts=1)
    list(pool.map(lambda _: hasty.get_function(FunctionName=probe), range(40)))


def test_invocations_are_not_control_plane_calls(pool, probe):
    hasty = client("lambda", attempts=1)
    list(pool.map(lambda _: hasty.invoke(FunctionName=probe, Payload=b"{}"), range(40)))


def test_a_patient_client_gets_through(pool, probe, lam):
    assert all(pool.map(lambda _: lam.get_function_configuration(FunctionName=probe)["FunctionName"] == probe, range(20)))
