#!/usr/bin/python3
"""The smallest browser that WebKitWebDriver can drive on a profile that lasts.

MiniBrowser, which comes with WebKitGTK, forgets everything once it is driven, and a test of durability needs what it had.
"""

import os

import gi

gi.require_version('Gtk', '3.0')
gi.require_version('WebKit2', '4.1')
from gi.repository import Gtk, WebKit2

folder = os.environ['MANGROVE_WEBKIT_PROFILE']
storage = WebKit2.WebsiteDataManager(
    base_data_directory=os.path.join(folder, 'data'), base_cache_directory=os.path.join(folder, 'cache')
)
context = WebKit2.WebContext(website_data_manager=storage)
# Standard error is the only place where the console can be heard: this WebDriver has no events.
settings = WebKit2.Settings(
    enable_write_console_messages_to_stdout=True,
    # Without a graphics card it would be drawn by a simulated one, which takes the time of everything else.
    hardware_acceleration_policy=WebKit2.HardwareAccelerationPolicy.NEVER,
)
windows = set()


def open_window(_session):
    view = WebKit2.WebView(web_context=context, settings=settings, is_controlled_by_automation=True)
    window = Gtk.Window(default_width=1280, default_height=800)
    windows.add(window)
    window.connect('destroy', forget)
    view.connect('close', lambda _view: window.destroy())
    window.add(view)
    window.show_all()
    view.grab_focus()
    return view


def forget(window):
    windows.discard(window)
    if not windows:
        Gtk.main_quit()


def start(_context, session):
    info = WebKit2.ApplicationInfo()
    info.set_name('WebKitGTK')
    info.set_version(WebKit2.get_major_version(), WebKit2.get_minor_version(), WebKit2.get_micro_version())
    session.set_application_info(info)
    session.connect('create-web-view', open_window)


context.connect('automation-started', start)
context.set_automation_allowed(True)
Gtk.main()
