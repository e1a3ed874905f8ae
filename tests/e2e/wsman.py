"""A WS-Man client for tests: the SOAP is written here, python3-winrm carries it (winrm_worker.py, inside the host).

Objects come back as plain dictionaries: text for scalars, None for NULL, a list for a property that comes more than
once, a dictionary of selectors for a reference.
"""
import json
import select
import subprocess
import uuid
import xml.etree.ElementTree as ET
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

CLASSES = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
S = "http://www.w3.org/2003/05/soap-envelope"
A = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
N = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
W = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
X = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
PREFIXES = f'xmlns:s="{S}" xmlns:a="{A}" xmlns:n="{N}" xmlns:w="{W}" xmlns:x="{X}" xmlns:xsi="{XSI}"'
SERVICE = {"CreationClassName": "Msvm_ReplicationService"}
RUNNING = ("2", "3", "4")  # JobState


class Fault(Exception):
    """The server answered with a SOAP fault, or refused the login, or cannot be reached."""


class Ref:
    """A reference to an instance, as a parameter."""

    def __init__(self, class_name, **keys):
        self.class_name, self.keys = class_name, keys

    def xml(self):
        return (f"<a:Address>{A}/role/anonymous</a:Address><a:ReferenceParameters>"
                f"<w:ResourceURI>{CLASSES}{self.class_name}</w:ResourceURI>{selector_set(self.keys)}"
                "</a:ReferenceParameters>")


def vm_ref(vm):
    return Ref("Msvm_ComputerSystem", CreationClassName="Msvm_ComputerSystem", Name=str(vm).upper())


def embedded(class_name, **properties):
    """CIM-XML text of an instance, for a string parameter."""
    parts = []
    for name, value in properties.items():
        if isinstance(value, (list, tuple)):
            values = "".join(f"<VALUE>{escape(str(v))}</VALUE>" for v in value)
            parts.append(f'<PROPERTY.ARRAY NAME="{name}"><VALUE.ARRAY>{values}</VALUE.ARRAY></PROPERTY.ARRAY>')
        else:
            parts.append(f'<PROPERTY NAME="{name}"><VALUE>{escape(plain(value))}</VALUE></PROPERTY>')
    return f'<INSTANCE CLASSNAME="{class_name}">{"".join(parts)}</INSTANCE>'


def plain(value):
    return {True: "TRUE", False: "FALSE"}[value] if isinstance(value, bool) else str(value)


def selector_set(keys):
    words = "".join(f"<w:Selector Name={quoteattr(name)}>{escape(str(value))}</w:Selector>" for name, value in keys.items())
    return f"<w:SelectorSet>{words}</w:SelectorSet>" if words else ""


def parameters(class_uri, method, values):
    words = []
    for name, value in values.items():
        if value is None:
            words.append(f'<p:{name} xsi:nil="true"/>')
        elif isinstance(value, Ref):
            words.append(f"<p:{name}>{value.xml()}</p:{name}>")
        else:
            words.append(f"<p:{name}>{escape(plain(value))}</p:{name}>")
    return f'<p:{method}_INPUT xmlns:p="{class_uri}">{"".join(words)}</p:{method}_INPUT>'


def local(tag):
    return tag.rsplit("}", 1)[-1]


def value_of(element):
    if element.get(f"{{{XSI}}}nil") == "true":
        return None
    keys = {s.get("Name"): s.text for s in element.iter(f"{{{W}}}Selector")}
    if keys:
        return keys
    return element[0].text if len(element) == 1 and not len(element[0]) else element.text or ""


def object_of(element):
    found = {"__class": local(element.tag)}
    for child in element:
        name, value = local(child.tag), value_of(child)
        if name in found:
            found[name] = [*(found[name] if isinstance(found[name], list) else [found[name]]), value]
        else:
            found[name] = value
    return found


class Wsman:
    """One client on one host. login: ("password", USER, PASSWORD), ("certificate", FILE, KEY), or ("kerberos", PRINCIPAL, "")
    with the cache of its tickets in env."""

    def __init__(self, host, login, endpoint=None, authority="/etc/understudy/tls/authority.crt", env=None):
        self.host = host
        self.recorder = None  # is told every envelope that was sent and answered (recorder.py)
        endpoint = endpoint or f"https://{host.hostname}:5986/wsman"
        worker = Path(__file__).with_name("winrm_worker.py")
        self._worker = host.popen(["/usr/bin/python3", worker, login[0], endpoint, login[1], login[2], authority],
                                  env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self):
        if self._worker.poll() is None:
            self._worker.stdin.close()
            self._worker.wait(timeout=30)

    def send(self, envelope, timeout=90):
        self._worker.stdin.write(json.dumps({"message": envelope}) + "\n")
        self._worker.stdin.flush()
        if not select.select([self._worker.stdout], [], [], timeout)[0]:
            raise Fault(f"{self.host.name}: no answer in {timeout} s")
        line = self._worker.stdout.readline()
        if not line:
            raise Fault(f"{self.host.name}: the WS-Man client ended")
        reply = json.loads(line)
        if "fault" in reply:
            raise Fault(reply["fault"])
        if self.recorder:
            self.recorder.saw(self.host.name, envelope, reply["answer"])
        body = ET.fromstring(reply["answer"]).find(f"{{{S}}}Body")
        fault = body.find(f"{{{S}}}Fault")
        if fault is not None:
            raise Fault(" ".join("".join(fault.itertext()).split()))
        return body

    def _call(self, action, resource, body="", keys=None):
        return self.send(f"""<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope {PREFIXES}><s:Header>
<a:To>https://{self.host.hostname}:5986/wsman</a:To>
<a:Action s:mustUnderstand="true">{action}</a:Action><a:MessageID>uuid:{uuid.uuid4()}</a:MessageID>
<a:ReplyTo><a:Address>{A}/role/anonymous</a:Address></a:ReplyTo>
<w:ResourceURI s:mustUnderstand="true">{resource}</w:ResourceURI>{selector_set(keys or {})}
<w:OperationTimeout>PT60.000S</w:OperationTimeout></s:Header><s:Body>{body}</s:Body></s:Envelope>""")

    def identify(self):
        wsmid = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
        body = self.send(f'<s:Envelope xmlns:s="{S}"><s:Header/><s:Body><i:Identify xmlns:i="{wsmid}"/></s:Body></s:Envelope>')
        return object_of(body[0])

    def get(self, class_name, **keys):
        return object_of(self._call(f"{X}/Get", CLASSES + class_name, keys=keys)[0])

    def enumerate(self, class_name, query=None):
        resource = CLASSES + ("*" if query else class_name)
        ask = f'<w:Filter Dialect="{WQL}">{escape(query)}</w:Filter>' if query else ""
        body = self._call(f"{N}/Enumerate", resource, f"<n:Enumerate>{ask}</n:Enumerate>")
        context, found = body.find(f".//{{{N}}}EnumerationContext").text, []
        while context:
            body = self._call(f"{N}/Pull", resource, f"<n:Pull><n:EnumerationContext>{escape(context)}"
                              "</n:EnumerationContext><n:MaxElements>50</n:MaxElements></n:Pull>")
            items = body.find(f".//{{{N}}}Items")
            found += [object_of(item) for item in (items if items is not None else [])]
            following = body.find(f".//{{{N}}}EnumerationContext")
            end = body.find(f".//{{{N}}}EndOfSequence") is not None
            context = None if end or following is None else following.text
        return found

    def wql(self, query):
        return self.enumerate("*", query)

    def invoke(self, class_name, method, keys, **values):
        """The out parameters, with ReturnValue as a number; Job (if any) as the job's InstanceID."""
        uri = CLASSES + class_name
        answer = object_of(self._call(f"{uri}/{method}", uri, parameters(uri, method, values), keys)[0])
        answer["ReturnValue"] = int(answer["ReturnValue"])
        if isinstance(answer.get("Job"), dict):
            answer["Job"] = answer["Job"]["InstanceID"]
        return answer

    # ---- what tests ask for most ----

    def service(self, method, **values):
        return self.invoke("Msvm_ReplicationService", method, SERVICE, **values)

    def request_state(self, vm, state):
        return self.invoke("Msvm_ComputerSystem", "RequestStateChange",
                           {"CreationClassName": "Msvm_ComputerSystem", "Name": str(vm).upper()}, RequestedState=state)

    def vm(self, vm):
        return self.get("Msvm_ComputerSystem", CreationClassName="Msvm_ComputerSystem", Name=str(vm).upper())

    def status(self, vm):
        """Our own view of how replication of this VM stands."""
        return self.get("Understudy_ReplicationStatus", InstanceID=f"Microsoft:{str(vm).upper()}\\HVR\\0")

    def job(self, job):
        return self.get("Msvm_ConcreteJob", InstanceID=job)
