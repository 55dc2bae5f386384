"""The values that the islands share: frozen, keyword-only, checked when made. No behaviour beyond that."""
