"""Valkey commands and pipelines, of the client, the cluster client and their asyncio twins.

https://valkey-py.readthedocs.io
"""

from ddmiddleware.integrations._redis import integration_of

integration = integration_of("valkey", "Valkey", "valkey>=6.0")
