"""All claims with CMS's Python SDK, page by page as its README does it. Environment: BASE, TOKEN, COUNT, OUT."""

import json
import os

from cms_bluebutton import BlueButton
from cms_bluebutton.auth import AuthorizationToken

base = os.environ["BASE"]
bb = BlueButton(
    {"environment": "LOCAL", "client_id": "a", "client_secret": "b", "callback_url": "http://localhost/", "version": 2}
)
bb.base_url, bb.auth_token_url = base, f"{base}/v2/o/token/"
token = AuthorizationToken({"access_token": os.environ["TOKEN"], "refresh_token": "r", "expires_in": 3600})
count = os.environ.get("COUNT")
config = {"auth_token": token, "params": {"_count": count} if count else {}}
first = bb.get_explaination_of_benefit_data(config)["response"].json()
# The links carry the parameters from here on.
config["params"] = {}
with open(os.environ["OUT"], "w") as out:
    for page in bb.get_pages(first, config)["pages"]:
        for entry in page.get("entry", []):
            out.write(json.dumps(entry["resource"], separators=(",", ":")) + "\n")
