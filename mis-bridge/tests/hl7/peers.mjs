// Systems that are not ours at the other end of MLLP, in Node.
//
//   peers.mjs FOLDER server         a server of node-hl7-server: writes its port, then the number of each message
//   peers.mjs FOLDER client PORT N  tells N patients with node-hl7-client: writes the code and number of each answer
//
// FOLDER is where node_modules is.
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";

const [folder, role, port, count] = process.argv.slice(2);
const require = createRequire(path.resolve(folder, "index.js"));

if (role === "server") {
  const { Server } = require("node-hl7-server");
  const probe = net.createServer().listen(0, "127.0.0.1", () => {
    const free = probe.address().port;
    probe.close(() => {
      const inbound = new Server({ bindAddress: "127.0.0.1" }).createInbound({ port: free }, async (req, res) => {
        console.log(req.getMessage().get("MSH.10").toString());
        await res.sendResponse("AA");
      });
      inbound.on("listen", () => console.log(free));
    });
  });
} else {
  const { Client, HL7_2_5_1 } = require("node-hl7-client");
  const client = new Client({ host: "127.0.0.1", version: "2.5.1" });
  const message = (number) =>
    new HL7_2_5_1()
      .buildMSH({
        msh_3: "MIS", msh_4: "CLINIC1", msh_5: "TAPWARD", msh_6: "CLINIC1",
        msh_9_1: "ADT", msh_9_2: "A28", msh_10: `N${number}`, msh_11_1: "P",
      })
      .buildEVN({ evn_2: new Date() })
      .buildPID({ pid_3: `P-${number}^^^CLINIC1^MR`, pid_5: "Ivanova^Anna" })
      .toMessage();
  // It keeps no order among messages that wait for a connection: each is sent after the answer to the one before.
  let number = 1;
  const connection = client.createConnection({ port: Number(port) }, async (res) => {
    const answer = res.getMessage();
    console.log(answer.get("MSA.1").toString(), answer.get("MSA.2").toString());
    number += 1;
    if (number > Number(count)) {
      await connection.close();
      process.exit(0);
    }
    await connection.sendMessage(message(number));
  });
  connection.on("connect", () => connection.sendMessage(message(number)));
}
