"""`python -m example_apps.reviews`: the reviews under uvicorn, on port 8002 or `PORT`."""

import os

import uvicorn

uvicorn.run("example_apps.reviews.app:app", host="127.0.0.1", port=int(os.environ.get("PORT", "8002")))
