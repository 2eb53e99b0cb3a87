"""Tests of a Python app against the mock. They need bbdl on the PATH, and nothing else.

Run them with `python3 -m unittest test_with_mock.py`, or with pytest.
"""

import json
import subprocess
import unittest
import urllib.error
import urllib.request


class App:
    """Stands for your app: it reads the claims of the person whose access token it has."""

    def __init__(self, url, token):
        self.url, self.token = url, token

    def claim_ids(self):
        ids, page = [], f"{self.url}/v2/fhir/ExplanationOfBenefit/?_count=50"
        while page:
            request = urllib.request.Request(page, headers={"Authorization": f"Bearer {self.token}"})
            with urllib.request.urlopen(request) as answer:
                bundle = json.load(answer)
            ids += [entry["resource"]["id"] for entry in bundle.get("entry", [])]
            page = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
        return ids


class WithMock(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        command = ["bbdl", "mock", "--enrollees", "3", "--claims", "60"]
        cls.mock = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        # The mock prints this line when it is ready.
        cls.url = json.loads(cls.mock.stdout.readline())["url"]

    @classmethod
    def tearDownClass(cls):
        cls.mock.terminate()
        cls.mock.wait()
        cls.mock.stdout.close()

    def setUp(self):
        # A new consent, and with it new tokens, without a browser. To test your app's own log-in, start the mock with
        # --auto-consent and follow the redirects from the authorization URL.
        answer = self.control("POST", "consents?count=1")
        self.app = App(self.url, json.loads(answer)["access_token"])
        self.addCleanup(self.control, "DELETE", "faults")

    def control(self, method, what, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/__mock/{what}", data, method=method)
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    def test_every_page_is_read(self):
        self.assertEqual(len(set(self.app.claim_ids())), 60)

    def test_a_busy_server_is_an_error(self):
        self.control("POST", "faults", ["status=429@ExplanationOfBenefit#1"])
        with self.assertRaises(urllib.error.HTTPError) as raised:
            self.app.claim_ids()
        raised.exception.close()
        self.assertEqual(raised.exception.code, 429)

    def test_an_access_token_lasts_an_hour(self):
        self.control("POST", "clock", {"advance_seconds": 3601})
        with self.assertRaises(urllib.error.HTTPError) as raised:
            self.app.claim_ids()
        raised.exception.close()
        self.assertEqual(raised.exception.code, 401)


if __name__ == "__main__":
    unittest.main()
