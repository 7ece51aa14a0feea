"""Redis commands and pipelines, of the client, the cluster client and their asyncio twins.

https://redis.readthedocs.io
"""

from ddmiddleware.integrations._redis import integration_of

integration = integration_of("redis", "Redis", "redis>=4.1")
