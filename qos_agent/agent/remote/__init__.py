"""Remote configuration on the device: checks, pauses, and the thread that runs them.

`check` fetches and verifies, `pauses` holds tasks back, and `watch` is the thread.
"""
