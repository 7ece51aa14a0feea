"""Keys of error tags, under the older names."""

ERROR_MSG = "error.message"
ERROR_STACK = "error.stack"
ERROR_TYPE = "error.type"
MSG = ERROR_MSG
STACK = ERROR_STACK
TYPE = ERROR_TYPE
