"""`hstflow campaign watch`: a campaign, live, until it ends."""

from __future__ import annotations

import time

from rich.live import Live

from calib.campaigns.remedies import next_steps
from calib.ledger.campaign_reports import LEFT
from deployments.cli.campaign.following import INTERVAL, LINES, dated_line
from deployments.cli.campaign.lookup import find_campaign, reading
from deployments.cli.campaign.show import Story, exit_code, story_of, story_view, title_of
from deployments.cli.campaign.status import tell_steps
from deployments.cli.console import Flag, err, out


def watch(name: str, /, *, once: Flag = False) -> int:
    """Follow a campaign: what is at work, how fast, what failed, until it ends or rests.

    Ctrl-C ends the view, not the campaign. In a file or a pipe it writes a line a minute, and
    one at each change of the campaign's state. The exit code is that of the campaign: 0 where
    every dataset is finished, else that of the most frequent error, 1 where there is none.

    Parameters
    ----------
    name
        A campaign.
    once
        Show it once and leave, with exit code 0.
    """
    story = _read(name)
    if once:
        out.print(story_view(story))
        return 0
    try:
        story = _follow(name, story) if story.overview.is_live else story
    except KeyboardInterrupt:
        err.print("the campaign goes on: `hstflow campaign pause` or `cancel` stops it")
        return 0
    return _tell_end(story)


def _read(name: str) -> Story:
    with reading() as rows:
        return story_of(rows, find_campaign(rows, name))


def _follow(name: str, story: Story) -> Story:
    """Show a campaign while a process is at work on it; return how it stands at the end."""
    if not out.is_terminal:
        return _follow_in_lines(name, story)
    with Live(story_view(story), console=out, auto_refresh=False, screen=False) as live:
        while story.overview.is_live:
            time.sleep(INTERVAL)
            story = _read(name)
            live.update(story_view(story), refresh=True)
    return story


def _follow_in_lines(name: str, story: Story) -> Story:
    shown, state = 0.0, ""
    while story.overview.is_live:
        if story.overview.state != state or time.monotonic() - shown >= LINES:
            out.print(dated_line(story.overview), markup=False, soft_wrap=True)
            out.file.flush()
            shown, state = time.monotonic(), story.overview.state
        time.sleep(INTERVAL)
        story = _read(name)
    return story


def _tell_end(story: Story) -> int:
    campaign = story.campaign
    out.print(story_view(story) if out.is_terminal is False else title_of(story.overview))
    tell_steps(next_steps(campaign.name, story.failures))
    if any(campaign.counts.get(state) for state in LEFT):
        err.print(f"nobody is at work on it: `hstflow campaign resume {campaign.name}` goes on")
    return exit_code(campaign.counts, campaign.finished, story.failures)
