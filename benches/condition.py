"""The mock's claims under another name, for a client that knows no ExplanationOfBenefit: a server on loopback at which
they are Conditions of one Patient. The Bundles are the mock's own, byte for byte but for the addresses of their links."""

import gzip
import http.server
import json
import threading
import time
import urllib.error
import urllib.request

CLAIMS = "/v2/fhir/ExplanationOfBenefit"
PATIENT = "p1"


class Conditions(http.server.ThreadingHTTPServer):
    """Asks the mock for each page; with `recorded`, once and for all before anybody is timed."""

    daemon_threads = True

    def __init__(self, mock, count):
        super().__init__(("127.0.0.1", 0), Handler)
        self.mock, self.count = mock, count
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.recorded, self.latency, self.asked = {}, 0, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def record(self, latency):
        """Keeps every page; from then on one takes `latency` milliseconds."""
        query = "patient=" + PATIENT
        while query:
            status, body, next_query = self.fetch(query, self.mock.token)
            assert status == 200, status
            self.recorded[query] = body
            query = next_query
        self.latency = latency

    def fetch(self, query, token):
        """A page of the mock's: status, compressed body, and the query of the page that follows."""
        first = query.startswith("patient=" + PATIENT)
        asked = f"_count={self.count}" if first else query
        headers = {"Accept-Encoding": "gzip"} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(f"{self.mock.url}{CLAIMS}?{asked}", headers=headers)
        try:
            with urllib.request.urlopen(request) as answer:
                packed = answer.read()
                text = gzip.decompress(packed) if answer.headers["Content-Encoding"] == "gzip" else packed
        except urllib.error.HTTPError as answer:
            return answer.code, gzip.compress(answer.read(), 1), None
        text = text.replace(f"{self.mock.url}{CLAIMS}".encode(), f"{self.url}/fhir/Condition".encode())
        links = {link["relation"]: link["url"] for link in json.loads(text).get("link", [])}
        following = links.get("next")
        return 200, gzip.compress(text, 1), following.partition("?")[2] if following else None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path.rstrip("/").endswith("/Condition"):
            self.server.asked += 1
            status, body = self.page(query)
        elif path.rstrip("/").endswith("/metadata"):
            status, body = 200, packed(STATEMENT)
        elif "/Patient" in path:
            patient = {"resourceType": "Patient", "id": PATIENT}
            bundle = {"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [{"resource": patient}]}
            status, body = 200, packed(patient if path.rstrip("/").endswith(PATIENT) else bundle)
        else:
            status, body = 404, packed({"resourceType": "OperationOutcome", "issue": []})
        self.send_response(status)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def page(self, query):
        if query in self.server.recorded:
            time.sleep(self.server.latency / 1000)
            return 200, self.server.recorded[query]
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return self.server.fetch(query, token)[:2]

    def log_message(self, *_):
        pass


def packed(document):
    return gzip.compress(json.dumps(document).encode(), 1)


STATEMENT = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "rest": [{"mode": "server", "resource": [{"type": "Patient"}, {"type": "Condition"}]}],
}
