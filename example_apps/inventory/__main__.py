"""`python -m example_apps.inventory`: the inventory under uvicorn, on port 8000 or `PORT`."""

import os

import uvicorn

uvicorn.run("example_apps.inventory.app:app", host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
