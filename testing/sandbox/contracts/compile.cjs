// Compiles every .sol file of this folder with the `solc` npm package and writes NAME.hex (creation bytecode).
const fs = require("fs");
const path = require("path");
const solc = require("solc");

for (const file of fs.readdirSync(__dirname).filter((name) => name.endsWith(".sol"))) {
  const name = path.basename(file, ".sol");
  const input = {
    language: "Solidity",
    sources: { [file]: { content: fs.readFileSync(path.join(__dirname, file), "utf8") } },
    settings: {
      optimizer: { enabled: true, runs: 200 },
      evmVersion: "paris",
      metadata: { bytecodeHash: "none" },
      outputSelection: { "*": { "*": ["evm.bytecode.object"] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  for (const error of output.errors ?? []) console.error(error.formattedMessage);
  fs.writeFileSync(path.join(__dirname, name + ".hex"), output.contracts[file][name].evm.bytecode.object + "\n");
}
