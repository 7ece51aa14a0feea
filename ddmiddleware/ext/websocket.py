"""Keys of websocket tags."""

CLOSE_CODE = "websocket.close.code"
CLOSE_REASON = "websocket.close.reason"
MESSAGE_FRAMES = "websocket.message.frames"
MESSAGE_LENGTH = "websocket.message.length"
MESSAGE_TYPE = "websocket.message.type"
RECEIVE_DURATION_TYPE = "websocket.duration.style"
