provider: str  # the path of the liburing.so that was loaded, or "direct"
