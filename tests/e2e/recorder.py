"""What passed between a client and a daemon: every envelope sent and every answer received, read again as text.

A Wsman client tells its recorder each exchange. What it knows of a method's call it has from these envelopes only:
ReturnValue and Job of the answer, JobState, ErrorCode and PercentComplete of every Msvm_ConcreteJob that went by since,
and the Msvm_Error that GetError gave.
"""
import xml.etree.ElementTree as ET

from wsman import A, CLASSES, RUNNING, S, local, object_of

FINAL = {"7": "completed", "8": "terminated", "9": "killed", "10": "exception"}


class Call:
    """One Invoke, and what was seen of its job."""

    def __init__(self, host, method, return_value, job):
        self.host, self.method, self.return_value, self.job = host, method, return_value, job
        self.states, self.percents, self.error_code, self.error = [], [], None, None

    def saw_job(self, job):
        self.states.append(job["JobState"])
        self.percents.append(int(job["PercentComplete"]))
        self.error_code = int(job["ErrorCode"])

    @property
    def job_state(self):
        return int(self.states[-1]) if self.states else None

    def check(self):
        """What holds of every call and job, whatever the situation."""
        what = f"{self.method} on {self.host}: {vars(self)}"
        assert (self.return_value == 4096) == (self.job is not None), what
        if self.job is None:
            return
        assert self.states and self.states[-1] in FINAL, f"the end of its job was not seen: {what}"
        assert all(state in RUNNING for state in self.states if state not in FINAL), what
        assert self.percents == sorted(self.percents), f"progress went back: {what}"
        assert (self.job_state == 7) == (self.error_code == 0) == (self.percents[-1] == 100), what
        if self.job_state == 10:
            assert self.error and self.error["MessageID"] == str(self.error_code) and self.error["Message"], what
            assert "Msvm_ComputerSystem" in self.error["ErrorSource"], what


class Recorder:
    def __init__(self):
        self.calls = []

    def saw(self, host, sent, received):
        """One exchange: the envelope that was sent, and the one that came back."""
        asked, answer = ET.fromstring(sent), ET.fromstring(received)
        message, relates = asked.find(f"{{{S}}}Header/{{{A}}}MessageID"), answer.find(f"{{{S}}}Header/{{{A}}}RelatesTo")
        assert message is None or relates.text == message.text, "the answer to another message"
        action = asked.findtext(f"{{{S}}}Header/{{{A}}}Action") or ""
        body = answer.find(f"{{{S}}}Body")
        for element in body.iter(f"{{{CLASSES}Msvm_ConcreteJob}}Msvm_ConcreteJob"):
            self._saw_job(host, object_of(element))
        if len(body) and local(body[0].tag).endswith("_OUTPUT"):
            self._saw_answer(host, action, asked, object_of(body[0]))

    def _saw_job(self, host, job):
        for call in self._of(host, job["InstanceID"]):
            call.saw_job(job)

    def _saw_answer(self, host, action, asked, out):
        class_name, method = action.removeprefix(CLASSES).split("/")
        if class_name == "Msvm_ConcreteJob" and method == "GetError":
            target = next(s.text for s in asked.iter() if local(s.tag) == "Selector")
            for call in self._of(host, target):
                call.error = {p.get("NAME"): p.findtext("VALUE") for p in ET.fromstring(out["Error"]).iter("PROPERTY")} \
                    if out.get("Error") else None
            return
        job = out["Job"]["InstanceID"] if isinstance(out.get("Job"), dict) else None
        self.calls.append(Call(host, method, int(out["ReturnValue"]), job))

    def _of(self, host, job):
        return [call for call in self.calls if call.job == job and call.host == host]
