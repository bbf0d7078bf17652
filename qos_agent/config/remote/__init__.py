"""Remote configuration: files that the operations centre signs and devices fetch.

`index` is the signed index of a province, `allowed` the list of keys that the centre
may set, `store` the files on the device, and `layers` their settings.
"""
