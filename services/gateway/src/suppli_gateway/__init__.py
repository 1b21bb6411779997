"""The one public door of Suppli Integrations: API v1, OAuth, connections and their settings, live
progress.
"""
