"""The appliance's own programs: the first boot, and updates of the image.

Nothing but Python's standard library and, to check a configuration, `bridge` itself.
"""
