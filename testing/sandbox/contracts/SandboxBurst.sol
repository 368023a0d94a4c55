// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

interface IToken {
    function mint(address to, uint256 value) external;
    function transfer(address to, uint256 value) external returns (bool);
}

/// Makes many token transfers in one transaction: transfer number i (from 1) moves i units to one of 16 recipients.
contract SandboxBurst {
    function burst(IToken token, uint256 count) external {
        token.mint(address(this), (count * (count + 1)) / 2);
        for (uint256 i = 1; i <= count; i++) {
            token.transfer(address(uint160(0xb000 + (i % 16))), i);
        }
    }
}
