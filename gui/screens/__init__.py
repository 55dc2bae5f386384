"""Owns the screens of the window: start, session (map, probe, listen, review) and settings; owns no session.

What ``gui.window`` expects of each screen (a QWidget): ``set_theme(theme)``; ``tick()``, called about 30 times a second while
the screen is shown and 10 times a second otherwise; ``told: Signal(object)`` carrying a ``gui.shown.Status`` (or None when
there is nothing to say) for the status line; ``close_down()``, called once before the window goes. Beyond that:

* ``start.StartScreen(desk, theme, form)``: ``started: Signal(object)`` (``desk.Started``), ``rejoin: Signal(object)`` (Path of a
  session folder); ``banner() -> gui.shown.Line`` (mode of the form)
* ``review.ReviewScreen(desk, theme)``: ``opened: Signal(object)`` (``desk.Opened``); ``open_path(path)``
* ``settings.SettingsScreen(desk, theme)``: ``theme_chosen: Signal(str)``, ``scale_chosen: Signal(float)``;
  ``show_choice(theme_name, scale)``
"""
