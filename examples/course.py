"""One simulated participant's course: a study, its people, an arm that nobody is told, a treatment, what is next, the report."""

from pathlib import Path
from secrets import token_hex

from rtloop.app.study_words import next_words
from rtloop.app.treat import TreatRequest, treatment
from rtloop.app.treatment_check import course_named
from rtloop.record.course_report import course_report
from rtloop.record.document import write
from rtloop.study.allocation import permuted_blocks
from rtloop.study.fields import Role
from rtloop.study.records import Enrolled, OutcomeTaken, Screened, TargetChosen
from rtloop.study.shown import participant
from rtloop.study.study import Study

HERE, FOLDER, CODE = Path(__file__).parent, Path(f"course-{token_hex(3)}"), "P017"
people = {
    "Ola": Role.OPERATOR,
    "Ada": Role.ASSESSOR,
}  # Ann makes the study: she is unblinded, and not at the bedside
course = course_named(str(HERE / "short-course.toml"))

with Study.make(FOLDER, name="example", course=course, by="Ann", people=people, simulated=True) as study:
    study.write(permuted_blocks(9, seed=token_hex(16)), by="Ann")
    study.write(Enrolled(participant=CODE, day=study.today, stratum=""), by="Ola")
    study.write(
        Screened(
            participant=CODE,
            day=study.today,
            form="before",
            form_version="1",
            eligible=True,
            findings=(),
            signed_by="Ola",
        ),
        by="Ola",
    )
    study.allocate(CODE, by="Ola")
    study.write(TargetChosen(participant=CODE, target="M1"), by="Ann")
    study.write(
        OutcomeTaken(participant=CODE, assessment="baseline", day=study.today, scales={"pain": 7.0}), by="Ada"
    )

request = TreatRequest(
    simulate=True, participant=CODE, by="Ola", study=FOLDER
)  # plan and target: the study knows
with treatment(request, print) as session:  # checklists, arming, two trains: a simulated operator answers
    session.run()

with Study.open(FOLDER) as study:
    print(next_words(participant(study, CODE, by="Ola")))
    write(FOLDER / f"{CODE}.html", course_report(study, CODE, by="Ann"))
