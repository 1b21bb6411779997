"""What every service of Suppli Integrations needs; it knows no business and no provider.

Each part is a module of its own and imported from there, so that a process loads only what it uses.
"""
