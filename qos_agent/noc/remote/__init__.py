"""Publishing of the remote configuration: source folder, state, signing, and status.

`source` reads what people edit, `state` is what is published, `changes` makes the next
state, `signing` and `output` write it, and `status` and `rollout` follow the devices.
"""
