// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// ERC-20 with the habits of odd ones: takes a hundredth of each transfer for itself, grows all balances by `grow`, and
/// refuses to tell balances, answers rubbish or uses up all gas when it is told to.
contract SandboxOddToken {
    string public constant name = "Sandbox Oddity";
    string public constant symbol = "ODD";
    uint8 public constant decimals = 18;

    mapping(address => uint256) private shares;
    uint256 private factor = 1;
    /// 0 answers, 1 reverts, 2 answers rubbish, 3 uses up all gas.
    uint256 public mood;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function mint(address to, uint256 value) external {
        shares[to] += value;
        emit Transfer(address(0), to, value * factor);
    }

    /// The event says the whole value, the recipient gets 99 hundredths.
    function transfer(address to, uint256 value) external returns (bool) {
        uint256 moved = value / factor;
        shares[msg.sender] -= moved;
        shares[to] += moved - moved / 100;
        emit Transfer(msg.sender, to, value);
        return true;
    }

    /// No event tells of it.
    function grow(uint256 times) external {
        factor *= times;
    }

    function setMood(uint256 next) external {
        mood = next;
    }

    function balanceOf(address owner) external view returns (uint256) {
        if (mood == 1) revert("not now");
        if (mood == 2) {
            assembly {
                mstore(0, 7)
                return(0, 7)
            }
        }
        while (mood == 3) {}
        return shares[owner] * factor;
    }
}
