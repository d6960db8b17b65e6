"""Write what a person should know into the log of a flow run: the Logs tab of its page tells the run's story."""

from prefect.logging import get_run_logger

from tasks.events import Emit, Event, Milestone, Notice


def run_log() -> Emit:
    """A listener for the flow run that this is called in, whichever stage's flow run and thread the events come from."""
    log = get_run_logger()  # it names its flow run in every record

    def write(event: Event) -> None:
        match event:
            case Notice():
                log.warning(event.text)
            case Milestone(failed=True):
                log.error(event.text)
            case Milestone():
                log.info(event.text)

    return write
