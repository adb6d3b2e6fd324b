# SPDX-License-Identifier: Apache-2.0
"""Pictures of the built documentation, as on a screen and on a telephone; names pages that are too wide.

    python tools/pictures.py doc/build/html build/pictures [PAGE ...]

Needs Chromium. The last line counts the pages that fit and those that do not.
"""

import glob
import os
import re
import subprocess
import sys
import typing

WIDTHS = (1280, 390)
#: Chromium makes no window narrower than this; its pictures may be.
LEAST = 500
HEIGHT = 3000
CHROMIUM = ('chromium', '--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars')
#: Puts into the title how wide the page and the window are.
PROBE = ("<script>addEventListener('load', () => { const e = document.documentElement;"
         " document.title = 'wide ' + e.scrollWidth + ' of ' + e.clientWidth; });</script></head>")


def chromium(*arguments: str) -> str:
    """Run Chromium; return what it prints."""
    done = subprocess.run(CHROMIUM + arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, universal_newlines=True, timeout=120)
    return done.stdout


def widths(page: str, width: int) -> typing.Tuple[int, int]:
    """Return how wide a page and its window are."""
    with open(page, encoding='utf-8') as stream:
        text = stream.read()
    probe = os.path.join(os.path.dirname(page), '.probe.html')
    with open(probe, 'w', encoding='utf-8') as stream:
        stream.write(text.replace('</head>', PROBE, 1))
    try:
        printed = chromium('--window-size=%d,1000' % max(width, LEAST), '--virtual-time-budget=2000',
                           '--dump-dom', 'file://' + probe)
    finally:
        os.remove(probe)
    found = re.search(r'<title>wide (\d+) of (\d+)</title>', printed)
    if not found:
        raise RuntimeError('Chromium shows nothing of %s' % page)
    return int(found.group(1)), int(found.group(2))


def main(html: str, pictures: str, *names: str) -> int:
    """Make the pictures; return the exit code."""
    html = os.path.abspath(html)
    folder = os.path.abspath(pictures)
    os.makedirs(folder, exist_ok=True)
    pages = [os.path.join(html, name + '.html') for name in names] or sorted(
        glob.glob(os.path.join(html, '**', '*.html'), recursive=True))
    fit = wide = 0
    for page in pages:
        name = os.path.relpath(page, html)[:-len('.html')]
        for width in WIDTHS:
            picture = os.path.join(folder, '%s-%d.png' % (name.replace(os.sep, '_'), width))
            chromium('--window-size=%d,%d' % (width, HEIGHT), '--screenshot=' + picture, 'file://' + page)
            needs, has = widths(page, width)
            fit, wide = fit + (needs <= has), wide + (needs > has)
            if needs > has:
                print('%s at %d: %d wide, in a window of %d' % (name, width, needs, has), flush=True)
    print('%d passed, %d failed' % (fit, wide))
    return 1 if wide else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
