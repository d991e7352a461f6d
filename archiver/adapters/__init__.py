"""The outside world behind the ports: one module, one port."""
