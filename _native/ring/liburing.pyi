provider: str  # the path of the liburing.so that was loaded, or "direct"
cure: str  # what to type when the provider is broken
