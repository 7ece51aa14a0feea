"""`python -m example_apps.shop`: the shop under Flask's own server, on port 5000 or `PORT`."""

import os

from example_apps.shop.app import app

app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "5000")))
