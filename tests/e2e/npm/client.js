// A client that builds its messages with the npm package wsman-messages and sends them over HTTPS with a Basic login.
//
//   node client.js PASSWORD '["get", "Msvm_ComputerSystem", {"name": "Name", "value": "..."}]'
//
// Prints the answers as a JSON list of envelopes. A fault ends it with 1, and is its last word on standard error.
"use strict";
const fs = require("fs");
const https = require("https");
const { WSManMessageCreator, BaseActions } = require("@device-management-toolkit/wsman-messages/WSMan");

const CLASSES = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/";
const ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";
const WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL";
const [password, order] = process.argv.slice(2);
const messages = new WSManMessageCreator(CLASSES);

function send(header, body) {
  const options = {
    host: "host-b", port: 5986, path: "/wsman", method: "POST", auth: `admin:${password}`,
    ca: fs.readFileSync("/etc/understudy/tls/authority.crt"), headers: { "Content-Type": "application/soap+xml; charset=utf-8" },
  };
  return new Promise((resolve, reject) => {
    const request = https.request(options, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (part) => (text += part));
      answer.on("end", () => (answer.statusCode === 200 ? resolve(text) : reject(new Error(`${answer.statusCode}: ${text}`))));
    });
    request.on("error", reject);
    request.end(messages.createXml(header, body));
  });
}

// Its body of an Enumerate has no room for a filter; its writer of XML has.
function filtered(query) {
  const filter = messages.OBJtoXML({ "w:Filter": [{ $: { Dialect: WQL }, _: query }] });
  return `<Body>${messages.OBJtoXML({ Enumerate: [{ $: { xmlns: ENUMERATION }, _: filter }] })}</Body>`;
}

const calls = {
  async enumerate(name, query, atOnce) {
    const body = query ? filtered(query) : messages.createCommonBody.Enumerate();
    const answers = [await send(messages.createHeader(BaseActions.ENUMERATE, name), body)];
    for (;;) {
      const context = /EnumerationContext>([^<]+)</.exec(answers.at(-1));
      if (!context) return answers;
      answers.push(await calls.pull(name, context[1], atOnce).then((pulled) => pulled[0]));
    }
  },
  async pull(name, context, atOnce) {
    return [await send(messages.createHeader(BaseActions.PULL, name), messages.createCommonBody.Pull(context, atOnce))];
  },
  async get(name, selector) {
    return [await send(messages.createHeader(BaseActions.GET, name, selector), messages.createCommonBody.Get())];
  },
  // A method of the replication service, about one VM.
  async invoke(method, vm) {
    const service = "Msvm_ReplicationService";
    const system = {
      Address: messages.anonymousAddress,
      ReferenceParameters: {
        ResourceURI: `${CLASSES}Msvm_ComputerSystem`,
        SelectorSet: messages.createSelectorObjectForBody({ name: "Name", value: vm }),
      },
    };
    const body = messages.createBody(`${method}_INPUT`, service, { ComputerSystem: system });
    return [await send(messages.createHeader(`${CLASSES}${service}/${method}`, service), body)];
  },
};

const [call, ...words] = JSON.parse(order);
calls[call](...words).then(
  (answers) => console.log(JSON.stringify(answers)),
  (fault) => {
    console.error(fault.message);
    process.exitCode = 1;
  },
);
