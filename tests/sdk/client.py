"""What an app on CMS's Python SDK does, at the mock: log in, fetch everything, refresh.

Usage: client.py VERSION, with the mock's first line of output in the environment variable MOCK.
"""

import datetime
import json
import os
import sys
import urllib.parse

import requests
from cms_bluebutton import BlueButton

MOCK = json.loads(os.environ["MOCK"])
SCOPES = {
    3: "openid profile launch/patient patient/Patient.rs patient/Coverage.rs patient/ExplanationOfBenefit.rs"
}


def sdk(version):
    bb = BlueButton(
        {
            "environment": "LOCAL",
            "client_id": MOCK["client_id"],
            "client_secret": MOCK["client_secret"],
            "callback_url": "http://localhost:8080/callback",
            "version": version,
            "retry_settings": {"total": 3, "backoff_factor": 0.05},
        }
    )
    # LOCAL is http://localhost:8000, and the SDK sets its addresses once, from that.
    bb.base_url = MOCK["url"]
    bb.auth_base_url = f"{bb.base_url}/v{version}/o/authorize"
    bb.auth_token_url = f"{bb.base_url}/v{version}/o/token/"
    return bb


def redirected(url, to):
    """Follows redirects as a browser does, up to the app's own address."""
    while not url.startswith(to):
        answer = requests.get(url, allow_redirects=False)
        url = urllib.parse.urljoin(url, answer.headers["location"])
    return {name: values[0] for name, values in urllib.parse.parse_qs(urllib.parse.urlsplit(url).query).items()}


def log_in(bb, enrollee):
    auth_data = bb.generate_auth_data()
    url = f"{bb.generate_authorize_url(auth_data)}&login_hint={enrollee['username']}"
    if bb.version in SCOPES:
        # v3 wants to be told what for; the SDK cannot.
        url += "&" + urllib.parse.urlencode({"scope": SCOPES[bb.version]})
    back = redirected(url, bb.callback_url)
    return bb.get_authorization_token(auth_data, back["code"], back["state"])


def check(what, is_so):
    if not is_so:
        raise SystemExit(f"python: {what}: FAILED")
    print(f"python: {what}")


def main():
    # One process for each version: once the SDK has asked for data, it sends that bearer token along with
    # the next code, which the server answers with a 500.
    version = int(sys.argv[1])
    enrollee = MOCK["enrollees"][1]
    bb = sdk(version)
    token = log_in(bb, enrollee)
    config = {"auth_token": token, "params": {}}
    requests.post(f"{MOCK['url']}/__mock/faults", json=["status=503@ExplanationOfBenefit#1"])
    first = bb.get_explaination_of_benefit_data(config)["response"].json()
    pages = bb.get_pages(first, config)["pages"]
    ids = [entry["resource"]["id"] for page in pages for entry in page.get("entry", [])]
    check(
        f"v{version}: {len(ids)} claims on {len(pages)} pages, after a 503",
        len(ids) == len(set(ids)) == enrollee["claims"],
    )
    for name, get in (
        ("Patient", bb.get_patient_data),
        ("Coverage", bb.get_coverage_data),
        ("userinfo", bb.get_profile_data),
    ):
        check(f"v{version}: {name}", get({"auth_token": token, "params": {}})["response"].status_code == 200)
    if version == 3:
        card = bb.get_insurance_card_data({"auth_token": token, "params": {}})["response"].json()
        check("v3: insurance card", card["resourceType"] == "Bundle")
        # The SDK sends a form of many parts, in which v3 finds no refresh token.
        check("v3: a refresh is denied, as by the real server", refused(403, lambda: bb.refresh_auth_token(token)))
        return

    # The SDK renews by its own clock.
    token.expires_at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
    renewed = bb.get_patient_data({"auth_token": token, "params": {}})
    check(
        f"v{version}: refreshed, and the old refresh token is spent",
        renewed["response"].status_code == 200
        and renewed["auth_token"].access_token != token.access_token
        and refused(400, lambda: bb.refresh_auth_token(token)),
    )


def refused(status, call):
    try:
        call()
    except requests.HTTPError as failure:
        return failure.response.status_code == status
    return False


main()
