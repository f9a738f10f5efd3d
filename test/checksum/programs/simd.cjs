// Prints the instructions that checksums use and why none better, as JSON.
'use strict';

const path = require('node:path');
const [packagePath] = process.argv.slice(2);
const { SIMD } = require(path.join(path.dirname(packagePath), 'checksum', 'simd.js'));
process.stdout.write(JSON.stringify(SIMD));
