"""Keys of Elasticsearch tags."""

BODY = "elasticsearch.body"
METHOD = "elasticsearch.method"
PARAMS = "elasticsearch.params"
SERVICE = "elasticsearch"
TOOK = "elasticsearch.took"
URL = "elasticsearch.url"
