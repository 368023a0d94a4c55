// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// A contract wallet behind a proxy of its own: whatever it is sent it keeps, and it calls whatever it is told to.
contract SandboxWallet {
    address private immutable implementation;

    constructor() {
        implementation = address(new Implementation());
    }

    receive() external payable {}

    fallback() external payable {
        address target = implementation;
        assembly {
            calldatacopy(0, 0, calldatasize())
            let success := delegatecall(gas(), target, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            if iszero(success) { revert(0, returndatasize()) }
            return(0, returndatasize())
        }
    }
}

contract Implementation {
    function execute(address to, uint256 value, bytes calldata data) external payable {
        (bool success,) = to.call{value: value}(data);
        require(success, "the call failed");
    }
}
