// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// ERC-721 and ERC-1155 in one contract, as far as their events go; anybody may mint.
contract SandboxCollection {
    mapping(uint256 => address) public ownerOf;
    mapping(address => mapping(uint256 => uint256)) public balanceOf;

    event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);
    event TransferSingle(address indexed operator, address indexed from, address indexed to, uint256 id, uint256 value);

    function give(address to, uint256 tokenId) external {
        emit Transfer(ownerOf[tokenId], to, tokenId);
        ownerOf[tokenId] = to;
    }

    function mint(address to, uint256 id, uint256 value) external {
        balanceOf[to][id] += value;
        emit TransferSingle(msg.sender, address(0), to, id, value);
    }

    function move(address to, uint256 id, uint256 value) external {
        balanceOf[msg.sender][id] -= value;
        balanceOf[to][id] += value;
        emit TransferSingle(msg.sender, msg.sender, to, id, value);
    }
}
